"""Many streams over one link: none is left behind, and one that is held up costs the
others nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipcbus import links
from ipcbus.broker.settings import Settings
from ipcbus_bridges.moving import Item
from ipcbus_bridges.streams import BATCH, Streams
from tests.bridges.cluster import texts
from tests.bridges.conftest import Make
from tests.bridges.telling import flow

STREAMS: Final = 10_000
EACH: Final = 3


def item(seq: int, stream: int, size: int = 100) -> Item:
    name = f"a{stream}"
    move = links.Move(
        *(f"m{seq}", name, "bob@prod", "inform", 4, None, None, None, None, None, None),
        *(b"d" * 32, 0, "r0", 0, 0, 1),
    )
    key = (name, "bob@prod", 4)
    return Item(seq, 1, key, "r0", move, b"x" * size, 300, fetch=False)


def carry(streams: Streams, ref: int) -> list[int]:
    """One hand-over, all of which is accepted: the streams that it was of."""
    batch, _ = streams.take(ref)
    streams.judge(ref, [])
    return [int(one.stream[0][1:]) for one in batch]


def test_ten_thousand_streams_are_served_in_the_order_in_which_they_wait(
    show: Callable[[str], None],
) -> None:
    streams = Streams()
    for part in range(EACH):
        for n in range(STREAMS):
            streams.put(item(part * STREAMS + n, n))
    served: list[int] = []
    rounds = 0
    while len(served) < STREAMS * EACH:
        rounds += 1
        found = carry(streams, rounds)
        assert found, "it is stuck"
        served += found
    show(f"{STREAMS} streams of {EACH} messages: {rounds} hand-overs")
    assert list(dict.fromkeys(served)) == [*range(STREAMS)]
    assert streams.count() == (0, 0)


def test_one_that_never_ends_holds_up_no_other(show: Callable[[str], None]) -> None:
    """It has more to say at each turn than a hand-over may hold. Ten thousand others
    have one message each, and wait for no more than its share."""
    streams = Streams()
    seq = STREAMS
    for n in range(1, STREAMS):
        streams.put(item(n, n))
    left, of_it, rounds = STREAMS - 1, 0, 0
    while left:
        rounds += 1
        for _ in range(2 * BATCH):
            seq += 1
            streams.put(item(seq, 0))
        found = carry(streams, rounds)
        of_it += found.count(0)
        left -= len(found) - found.count(0)
        assert rounds < STREAMS
    show(f"{STREAMS - 1} others are served with {of_it} of one that never ends")
    assert of_it <= 2 * BATCH


def test_one_slow_recipient_costs_the_others_no_hand_over(
    make_town: Make, show: Callable[[str], None]
) -> None:
    """bob's mailbox is full all the time. ben's mail is handed over as soon, and as
    often, as if there were no bob; and bob's stream is tried ever more seldom."""
    town = make_town(prod=Settings(mailbox_messages=2))
    there, _ = town.bridge("dev", "prod")
    flow(town, "bob@prod", *map(str, range(50)))
    town.run()
    assert town.described("dev", "prod")["held"] == 48
    tries = len(there.handed)
    for n in range(120):
        before = len(there.handed)
        flow(town, "ben@prod", str(n))
        town.run()
        assert texts(town.read("ben@prod")) == [str(n)]
        assert len(there.handed) == before + 1
        town.advance(1.0)
    tries = len(there.handed) - tries - 120
    show(f"a full mailbox for 120 s, 48 wait: handed over {tries} times in vain")
    assert tries <= 48 * (5 + 120 // 15)
