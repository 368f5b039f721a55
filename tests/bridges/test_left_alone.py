"""Mail whose bridge does not come back, or whose destination stays dead: it is kept, it
is seen, it ends, and what a bridge holds of it is bounded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipcbus.protocol.messages import Call
from ipcbus_bridges.link import CREDIT, CREDIT_BYTES
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, rules_of, texts
from tests.bridges.conftest import Make
from tests.bridges.telling import flow, told
from tests.bridges.wires import Wire
from tests.broker.harness import OPERATOR, draft

HOUR_S = 3600
NEW_KEY = "e" * 64
BIG = "x" * 60_000
PART = 100


def revoke(town: Cluster, network: str, peer: str) -> None:
    """Its owner takes the bridge's key away."""
    net = town.nets[network]
    net.hello(OPERATOR)
    net.say(OPERATOR, Call(net.ref(), "revoke", [f"@{peer}"], b""))
    town.run()


def removed(town: Cluster, terms: Terms) -> None:
    """Three messages wait for a bridge whose key was taken away for good."""
    pair = town.bridge("dev", "prod", terms=terms)
    for wire in pair:
        wire.cut()
    flow(town, "bob@prod", "1", "2", "3")
    revoke(town, "dev", "prod")
    for wire in pair:
        town.wires.remove(wire)


def test_what_waits_for_a_bridge_that_was_removed_is_seen_and_kept(
    both: Cluster,
) -> None:
    removed(both, Terms())
    link = both.described("dev", "prod")
    assert (link["open"], link["led"], link["queued"]) == (False, False, 3)
    assert both.send("alice@dev", "bob@prod") == "unknown_recipient"
    both.restart("dev")
    both.advance(HOUR_S)
    assert both.described("dev", "prod")["queued"] == 3


def test_another_bridge_takes_it_over_whole_and_in_order(both: Cluster) -> None:
    removed(both, Terms())
    both.advance(HOUR_S)
    both.read("alice@dev")
    dev, prod = both.nets["dev"], both.nets["prod"]
    dev.hello(OPERATOR)
    dev.call(OPERATOR, "link", "prod", NEW_KEY, "out")
    assert both.described("dev", "prod")["queued"] == 3
    wire = Wire("another", dev, prod, rules_of("dev", "prod"))
    wire.source.key = NEW_KEY
    both.wires.append(wire)
    both.run()
    flow(both, "bob@prod", "4")
    both.run()
    assert texts(both.read("bob@prod")) == ["1", "2", "3", "4"]
    assert both.read("alice@dev") == []


def test_or_it_comes_back_to_its_sender_when_its_time_is_over(both: Cluster) -> None:
    terms = Terms(hold_ms=HOUR_S * 1000, warn_ms=HOUR_S * 500)
    removed(both, terms)
    both.advance(HOUR_S / 2 + 2)
    assert told(both.read("alice@dev")) == [("control", "late")]
    both.advance(HOUR_S / 2)
    assert told(both.read("alice@dev")) == [("bounce", "4.4.7")] * 3
    link = both.described("dev", "prod")
    assert (link["queued"], link["counters"]["expired"]) == (0, 3)


# --- a destination that is dead for long ---------------------------------------------


def held(wire: Wire) -> tuple[int, int]:
    """Messages and bytes of bodies in the memory of a link."""
    streams = wire.link._streams
    items = [item for batch in streams._flying.values() for item in batch]
    items += [item for waiting in streams._waiting.values() for item in waiting]
    return len(items), sum(len(item.body) for item in items)


@pytest.mark.parametrize("how", ["gone", "frozen"])
def test_what_a_bridge_holds_for_a_dead_destination_is_bounded(
    make_town: Make, how: str, show: Callable[[str], None]
) -> None:
    """An hour of it, in which more is sent than a bridge may hold. `frozen`: nothing
    is refused, and nothing is answered."""
    town = make_town()
    there, _ = town.bridge("dev", "prod")
    if how == "gone":
        there.cut(there.destination)
    else:
        there.destination.held_up = there.destination.held_down = True
    most, sent = (0, 0), 0
    for minute in range(0, 60, 3):
        if minute < 9:
            sent = send_more(town, sent)
        town.advance(180)
        most = max(most, held(there))
    assert most[0] <= CREDIT
    assert most[1] <= CREDIT_BYTES + len(BIG)
    assert len(there.destination.up) < 200, "what is said to nobody is bounded too"
    show(f"{how} for an hour, {sent} sent: at most {most[0]} messages, {most[1]} B")
    there.heal()
    town.pass_time(2)
    assert read_all(town) == [f"n{n}@dev" for n in range(sent)]
    assert town.described("dev", "prod")["in_flight"] == 0


def send_more(town: Cluster, sent: int) -> int:
    """As many as a bridge has room for, after a few times."""
    drafts = [draft(f"n{sent + n}", "bob@prod") for n in range(PART)]
    for at in range(0, PART, 4):
        assert town.nets["dev"].send(b"alice", *drafts[at : at + 4], body=BIG) == []
    return sent + len(drafts)


def read_all(town: Cluster) -> list[str]:
    ids = []
    while found := town.read("bob@prod"):
        ids += [mail.header.id for mail in found]
        town.run()
    return ids


def test_a_line_so_slow_that_leases_run_out_carries_each_message_once(
    both: Cluster, show: Callable[[str], None]
) -> None:
    """The source gives out again what the bridge has in its hands still. Each round
    was once added to what waits there, and settled by receipts that were out of date:
    nothing left the source any more, and a bridge grew by its credit every minute."""
    there, _ = both.bridge("dev", "prod")
    there.destination.held_up = True
    flow(both, "bob@prod", "first")
    sent = send_more(both, 0)
    both.run()
    waits, seconds = held(there)[0], 0
    while held(there)[0]:
        both.advance(45)  # one hand-over gets through
        seconds += 45
        assert held(there)[0] <= waits
        while there.destination.up:
            there.destination.arrive()
        both.run()
    show(f"{seconds} s for {sent} messages, with leases of 60 s")
    assert both.described("dev", "prod")["counters"]["accepted"] == sent + 1
    assert len(there.handed) == sent + 1, "nothing was handed over twice"
    there.destination.held_up = False
    assert read_all(both)[1:] == [f"n{n}@dev" for n in range(sent)]
    assert both.described("dev", "prod")["queued"] == 0
