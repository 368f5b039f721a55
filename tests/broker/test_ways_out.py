"""What waits for a bridge: streams that are put off, and mail that is late."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.ends import SWEEP
from ipcbus.broker.events import Action, Received
from ipcbus.broker.settings import DAY
from ipcbus.protocol.limits import MAX_CREDIT_BYTES
from ipcbus.protocol.messages import DEFERRED, Call, Credit, Hello, Return, Send
from ipcbus.protocol.pieces import pack_map, runs
from tests.broker.harness import OPERATOR, Delivered, Harness, delivered, draft, key_of

ALICE, AMY, BOB, BRIDGE = b"alice", b"amy", b"bob", b"@prod"
HOLD_S = 5
MANY = 2 * SWEEP


def _coming(bus: Harness) -> list[Received]:
    """What a bridge says to take the mail for `prod`."""
    terms = pack_map({"hold_ms": HOLD_S * 1000})
    credit = Credit(bus.ref(), MANY, MAX_CREDIT_BYTES, 60_000)
    words = (Hello(1, 0, 0, "test"), Call(bus.ref(), "lead", [], terms), credit)
    return [Received(BRIDGE, bus.key(BRIDGE), word) for word in words]


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "amy", "bob")
    bus.call(OPERATOR, "link", "prod", key_of("@prod"), "out")
    bus.turn(*_coming(bus))


def _out(bus: Harness, peer: bytes, id_: str, **fields: Any) -> Received:
    send = Send(bus.ref(), [draft(id_, "bob@prod", **fields)], [b"hi"])
    return Received(peer, bus.key(peer), send)


def _put_off(bus: Harness, one: Delivered, seconds: float) -> None:
    group = [DEFERRED, "", "", "", int(seconds * 1000), runs([one.receipt])]
    bus.say(BRIDGE, Return(bus.ref(), [group]))


def _ids(actions: list[Action]) -> list[str]:
    return [one.header.id for one in delivered(actions, BRIDGE)]


def _first_is_put_off(bus: Harness, seconds: float, **fields: Any) -> None:
    (first,) = delivered(bus.turn(_out(bus, ALICE, "a1", **fields)), BRIDGE)
    _put_off(bus, first, seconds)


def test_of_what_comes_at_once_only_other_streams_pass_what_is_put_off(
    bus: Harness,
) -> None:
    _first_is_put_off(bus, 3)
    done = bus.turn(_out(bus, AMY, "b1"), _out(bus, ALICE, "a2"), _out(bus, AMY, "b2"))
    assert _ids(done) == ["b1", "b2"]
    assert _ids(bus.advance(3)) == ["a1", "a2"]


def test_a_stream_goes_on_in_its_time_when_what_put_it_off_has_expired(
    bus: Harness,
) -> None:
    _first_is_put_off(bus, 4, ttl_ms=1000)
    bus.advance(2)
    assert _ids(bus.turn(_out(bus, ALICE, "a2"))) == []
    assert _ids(bus.advance(2)) == ["a2"]


def test_a_stream_is_not_forgotten_while_much_else_is_woken(bus: Harness) -> None:
    """Nothing leaves before all is awake whose time has come; then it does at once."""
    bus.send(ALICE, *(draft(f"m{n}", "bob") for n in range(SWEEP + 50)))
    mail = bus.fetch(BOB, MANY)
    bus.settle(BOB, nacks=[[*one.receipt, 2000, None] for one in mail])
    _first_is_put_off(bus, 4)
    bus.mono += 2
    bus.wall += 2000
    assert _ids(bus.turn(_out(bus, AMY, "b1"))) == []
    assert bus.broker.next_deadline(bus.now) == 0.0
    assert _ids(bus.turn()) == ["b1"]


@pytest.mark.parametrize("ttl_ms", [None, 30 * DAY])
def test_what_has_waited_for_all_its_time_is_not_given_to_a_bridge_that_comes_then(
    bus: Harness, ttl_ms: int | None
) -> None:
    """Nor is the part of it that is more than one turn can end."""
    count = SWEEP + 50
    bus.lose(BRIDGE)
    drafts = [draft(f"m{n}", "bob@prod", ttl_ms=ttl_ms) for n in range(count)]
    assert bus.send(ALICE, *drafts) == []
    bus.mono += HOLD_S
    bus.wall += HOLD_S * 1000
    assert _ids(bus.turn(*_coming(bus))) == []
    assert _ids(bus.turn()) == []
    bounces = bus.fetch(ALICE, MANY)
    assert {one.header.reply_to for one in bounces} == {one.id for one in drafts}
