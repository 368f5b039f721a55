"""A link, a line or a broker that ends at any frame of the handoff, for each of the
verdicts: some mail is taken, some is put off, some is refused."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from ipcbus.broker.settings import Settings
from tests.bridges.cluster import Cluster
from tests.bridges.conftest import Make
from tests.bridges.telling import drain, flow, told
from tests.bridges.wires import Wire
from tests.broker.harness import Delivered

TAKEN: Final = [str(n) for n in range(5)]
FRAMES: Final = range(0, 12, 3)

WHAT: Final = ("link", "line", "source", "destination")


def ends(town: Cluster, there: Wire, what: str) -> None:
    match what:
        case "link":
            town.kill(there)
            town.link("dev", "prod", there.rules)
        case "line":
            there.cut()
            there.heal()
        case "source":
            town.restart("dev", told=False)
        case "destination":
            town.restart("prod", told=False)


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("count", [1, 20])
def test_all_verdicts_come_to_their_end_whatever_ends_at_any_frame(
    make_town: Make, what: str, frames: int, count: int
) -> None:
    """bob's mailbox has room for two: the rest of his is put off, again and again. What
    is for nobody bounces once, also if nobody heard that it had been refused."""
    town = make_town(prod=Settings(mailbox_messages=2))
    there, _ = town.bridge("dev", "prod")
    for body in TAKEN:
        flow(town, "bob@prod", body)
        flow(town, "nobody@prod", *("no" for _ in range(count)), sender="amy@dev")
    for _ in range(frames):
        town.step()
    ends(town, there, what)
    flow(town, "ben@prod", "last")
    town.run()
    assert drain(town, "bob@prod") == TAKEN
    assert drain(town, "ben@prod", 1) == ["last"]
    bounced = Counter(told(all_of(town, "amy@dev")))
    assert bounced == {("bounce", "5.1.1"): count * len(TAKEN)}
    assert town.read("alice@dev") == []
    link = town.described("dev", "prod")
    assert (link["queued"], link["held"], link["in_flight"]) == (0, 0, 0)


def all_of(town: Cluster, address: str) -> list[Delivered]:
    found: list[Delivered] = []
    while more := town.read(address):
        found += more
    return found
