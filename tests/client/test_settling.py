"""Settlements on their way: what is said of them, whatever their order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ipcbus.client.message import BaseMessage, Settlement
from ipcbus.client.settling import Settling
from ipcbus.protocol.messages import Header, Settled
from ipcbus.protocol.pieces import runs, unroll

HEADER = Header(
    "i", "a", "b", "inform", 4, 0, None, None, None, "local", None, None, None
)


class Owner:
    """Queues what is settled, as a client does."""

    network = "dev"
    clock_ms = 0.0

    def __init__(self) -> None:
        self.gone: list[BaseMessage] = []
        self.settling = Settling(self.gone.extend)

    def settle(self, settlement: Settlement) -> Settlement:
        self.settling.waiting.append(settlement)
        return settlement

    def message(self, seq: int, attempt: int = 1) -> BaseMessage:
        owner: Any = self
        return BaseMessage(owner, seq, attempt, HEADER, b"", 60_000, 100.0)

    def said(self) -> Any:
        (settle,) = self.settling.take(iter(range(1, 9)).__next__)
        return settle


PAIRS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 3)), min_size=1)


@given(PAIRS, st.booleans())
def test_acks_in_any_order_are_said_as_runs(
    pairs: list[tuple[int, int]], is_ordered: bool
) -> None:
    if is_ordered:
        pairs = [(seq, 1) for seq in range(pairs[0][0], pairs[0][0] + len(pairs))]
    owner = Owner()
    for seq, attempt in pairs:
        owner.message(seq, attempt).ack()
    settle = owner.said()
    assert settle.acks == runs(sorted(pairs))
    assert sorted(unroll(settle.acks)) == sorted(pairs)
    assert settle.releases == settle.nacks == settle.extends == []
    assert len(owner.gone) == len(pairs)


def test_each_kind_has_its_place_and_an_extended_one_is_kept() -> None:
    owner = Owner()
    messages = [owner.message(seq) for seq in range(1, 6)]
    acked, nacked, released, extended, late = messages
    words = [
        acked.ack(),
        nacked.nack(2, "busy"),
        released.release(),
        extended.extend(5),
        late.extend(5),
        late.ack(),
    ]
    settle = owner.said()
    assert settle.acks == [1, 1, 1, 5, 1, 1]
    assert settle.releases == [3, 1, 1]
    assert settle.nacks == [[2, 1, 2000, "busy"]]
    assert settle.extends == [[4, 1, 5000]]
    assert sorted(m.seq for m in owner.gone) == [1, 2, 3, 5]
    owner.settling.settled(Settled(settle.ref, [2]), 7.0)
    assert [word.done() for word in words] == [True] * 6
    assert [word.error() is None for word in words] == [True, False] + [True] * 4
    assert words[0].result(0) is None
    assert (extended.lease_ms, extended.until) == (5000, 12.0)
