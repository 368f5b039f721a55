"""A message that kills its readers: what they hold beside it outlives it."""

from __future__ import annotations

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import Send, Settle
from ipcbus.protocol.pieces import runs
from tests.broker.harness import Delivered, Harness, delivered, draft

ALICE, BOB, BOB2 = b"alice", b"bob", b"bob/2"
MANY = 100


def _bus(max_attempts: int = 5) -> Harness:
    bus = Harness(Settings(max_attempts=max_attempts))
    bus.join_up("alice", "bob")
    return bus


def _send(bus: Harness, *ids: str) -> None:
    assert bus.send(ALICE, *(draft(id_, "bob") for id_ in ids)) == []


def _ids(found: list[Delivered]) -> list[str]:
    return [one.header.id for one in found]


def _ack(bus: Harness, peer: bytes, one: Delivered) -> list[Delivered]:
    """What comes in its place."""
    settle = Settle(bus.ref(), runs([one.receipt]), [], [], [])
    return delivered(bus.say(peer, settle), peer)


def _read(bus: Harness) -> list[str]:
    """What a reader acks that reads one after the other and dies of poison."""
    read: list[str] = []
    bus.hello(BOB)
    found = bus.credit(BOB, MANY)
    while found:
        one = found.pop(0)
        if one.header.id.startswith("poison"):
            bus.lose(BOB)
            return read
        read.append(one.header.id)
        found += _ack(bus, BOB, one)
    return read


def _bounced(bus: Harness) -> list[str | None]:
    return [one.header.reply_to for one in bus.fetch(ALICE, MANY)]


def _lost_twice(bus: Harness, *ids: str) -> None:
    _send(bus, *ids)
    for _ in range(2):
        bus.hello(BOB)
        assert _ids(bus.credit(BOB, MANY)) == [*ids]
        bus.lose(BOB)
    bus.hello(BOB)


@pytest.mark.parametrize("max_attempts", [2, 3, 5, 20])
def test_it_becomes_a_dead_letter_alone(max_attempts: int) -> None:
    bus = _bus(max_attempts)
    good = [f"m{n}" for n in range(20)]
    _send(bus, *good[:5], "poison", *good[5:])
    read = [id_ for _ in range(max_attempts + 1) for id_ in _read(bus)]
    assert read == good
    assert _bounced(bus) == ["poison"]


def test_of_several_each_does_and_nothing_else() -> None:
    bus = _bus()
    ids = ["m0", "poison-1", "m1", "poison-2", "poison-3", "m2"]
    _send(bus, *ids)
    read = [id_ for _ in range(16) for id_ in _read(bus)]
    assert read == ["m0", "m1", "m2"]
    assert _bounced(bus) == ["poison-1", "poison-2", "poison-3"]


def test_what_comes_while_it_kills_is_read_after_it() -> None:
    bus = _bus()
    _send(bus, "poison")
    for n in range(5):
        bus.hello(BOB)
        bus.credit(BOB, MANY)
        _send(bus, f"m{n}")
        bus.lose(BOB)
    assert _read(bus) == [f"m{n}" for n in range(5)]
    assert _bounced(bus) == ["poison"]


def test_of_what_came_back_twice_each_session_has_one_at_a_time() -> None:
    bus = _bus()
    _lost_twice(bus, "m1", "m2", "m3")
    (first,) = bus.credit(BOB, MANY)
    bus.hello(BOB2)
    (second,) = bus.credit(BOB2, MANY)
    assert _ids([first, second]) == ["m1", "m2"]
    assert bus.credit(BOB, MANY + 1) == bus.credit(BOB2, MANY + 1) == []
    assert _ids(_ack(bus, BOB2, second)) == ["m3"]


def test_what_is_new_is_given_beside_it() -> None:
    bus = _bus()
    _lost_twice(bus, "m1")
    assert _ids(bus.credit(BOB, MANY)) == ["m1"]
    actions = bus.say(ALICE, Send(bus.ref(), [draft("m2", "bob")], [b"hi"]))
    assert _ids(delivered(actions, BOB)) == ["m2"]
