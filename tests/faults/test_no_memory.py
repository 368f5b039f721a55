"""No memory left: the broker says so in a line, stops, and has lost nothing."""

from __future__ import annotations

import select
import sys
from pathlib import Path

import pytest

import ipcbus
from ipcbus.client.pending import Pending
from ipcbus.errors import NoBroker, OutOfMemory, TimedOut
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.faults.starved_broker import PLACES

STARVED_BROKER = Path(__file__).with_name("starved_broker.py")
BEFORE = 20
AFTER = 20

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("place", PLACES)
def test_a_broker_without_memory_ends_in_a_line_and_loses_nothing(
    network: Network, tmp_path: Path, place: str
) -> None:
    trigger = tmp_path / "starve"
    script = [sys.executable, "-P", str(STARVED_BROKER), "dev", str(trigger), place]
    child = launch.spawn(network, command=lambda _: script, detached=False)
    assert child.stdout is not None
    with child.stdout as pipe:
        assert select.select([pipe], [], [], 30)[0], "it starts"
        launch.said(network, pipe.readline())
    with ipcbus.connect("dev", agent="bob", start=False) as bob:
        assert bob.agent == "bob"
    with ipcbus.connect("dev", agent="alice", start=False) as alice:
        accepted = [alice.send("bob", str(n), id=f"m{n}").id for n in range(BEFORE)]
        trigger.touch()
        asked = [alice.submit("bob", "a secret", id=f"x{n}") for n in range(AFTER)]
        exit_code = child.wait(30)
        assert [one for one in asked if _is_answered(one)] == []

    assert exit_code == OutOfMemory.exit_code
    last = network.log.read_text().splitlines()[-1]
    assert last.endswith(f"dev: {OutOfMemory(network='dev')}")
    assert "Traceback" not in network.log.read_text()
    trigger.unlink()
    assert _all_of(len(accepted))[:BEFORE] == accepted


def _is_answered(pending: Pending[ipcbus.Receipt]) -> bool:
    try:
        pending.result(0)
    except (TimedOut, NoBroker):
        return False
    return True


def _all_of(least: int) -> list[str]:
    """Everything in bob's mailbox, once a sound broker serves."""
    got: list[str] = []
    with ipcbus.connect("dev", agent="bob", timeout=30) as bob:
        while len(got) < least:
            found, _ = bob.fetch(100, timeout=10)
            assert found, "what was accepted comes"
            got += [message.id for message in found]
    return got
