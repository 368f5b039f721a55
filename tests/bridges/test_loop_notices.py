"""The person of the network that stopped a loop is told, also if half is foreign."""

from __future__ import annotations

from ipcbus.broker.settings import Settings
from tests.bridges.conftest import Make

OFF = Settings(guard_pair=0, guard_thread=0, guard_repeats=0)
STRICT = Settings(guard_pair=4, guard_human="hugo")


def test_the_person_of_the_receivers_network_is_told_of_a_loop_over_a_bridge(
    make_town: Make,
) -> None:
    town = make_town(dev=OFF, prod=STRICT)
    town.people("hugo@prod")
    town.bridge("dev", "prod")
    ends = (("alice@dev", "bob@prod"), ("bob@prod", "alice@dev"))
    for at in range(20):
        sender, to = ends[at % 2]
        town.send(sender, to, body=f"words {at}")
        town.run()
        town.read(to)
    (notice,) = town.read("hugo@prod")
    assert notice.header.sender == "ipcbus"
    assert "alice@dev and bob answered each other 4 times" in notice.text
