"""Sessions: found by peer, by agent and by key; and what those get that end."""

from __future__ import annotations

import pytest

from ipcbus.broker.events import Broken, Event, PeerLost, Received
from ipcbus.broker.sessions import Sessions
from ipcbus.protocol.calls import Role
from ipcbus.protocol.limits import MAX_CREDIT_BYTES
from ipcbus.protocol.messages import Call, Credit, Ping, Send
from tests.broker.harness import Harness, delivered, draft, key_of


def test_sessions_of_a_key_are_found_until_they_end() -> None:
    sessions = Sessions()
    first = sessions.add(b"1", "key", Role.AGENT, 1, "")
    second = sessions.add(b"2", "key", Role.AGENT, 1, "")
    other = sessions.add(b"3", "other", Role.OPERATOR, 0, "")
    assert sessions.of_key("key") == [first, second]
    assert sessions.of_key("other") == [other]
    sessions.check_invariants()
    sessions.remove(first)
    sessions.check_invariants()
    assert sessions.of_key("key") == [second]
    sessions.remove(second)
    assert sessions.of_key("key") == []
    sessions.check_invariants()


def test_the_list_of_a_keys_sessions_may_be_used_while_they_end() -> None:
    sessions = Sessions()
    for number in range(3):
        sessions.add(bytes([number]), "key", Role.AGENT, 1, "")
    for session in sessions.of_key("key"):
        sessions.remove(session)
    assert len(sessions) == 0


# --- those that end ------------------------------------------------------------------


def _said(name: str, message: Send | Credit | Call | Ping) -> Received:
    return Received(name.encode(), key_of(name.split("/")[0]), message)


def _mail(*drafts: str, reply_to: str | None = None) -> Received:
    made = [draft(id_, "bob", reply_to=reply_to) for id_ in drafts]
    return _said("alice", Send(1, made, [b"hi"] * len(made)))


def _attempts(bus: Harness) -> list[tuple[str, int]]:
    """What bob is given in the end, and as which attempt."""
    bus.hello(b"bob/2")
    return [(one.header.id, one.receipt[1]) for one in bus.fetch(b"bob/2")]


@pytest.mark.parametrize("end", [PeerLost(b"bob"), Broken(b"bob", "", "no message")])
@pytest.mark.parametrize("credit", ["before", "same turn"])
def test_a_session_that_is_lost_in_this_turn_is_leased_nothing_in_it(
    bus: Harness, end: Event, credit: str
) -> None:
    bus.join_up("alice", "bob")
    more = Credit(9, 5, MAX_CREDIT_BYTES, 60_000)
    bus.say(b"bob", more)
    events = [_said("bob", more)] if credit == "same turn" else []
    done = bus.turn(*events, _mail("m1", "m2"), end)
    assert delivered(done, b"bob") == []
    assert _attempts(bus) == [("m1", 1), ("m2", 1)]


@pytest.mark.parametrize("awaits", ["before", "same turn"])
def test_nor_is_it_handed_the_reply_that_it_awaits(bus: Harness, awaits: str) -> None:
    bus.join_up("alice", "bob")
    wait = _said("bob", Call(1, "await", ["q1"], b""))
    if awaits == "before":
        bus.turn(wait)
        done = bus.turn(_mail("r1", reply_to="q1"), PeerLost(b"bob"))
    else:
        bus.turn(_mail("r1", reply_to="q1"))
        done = bus.turn(wait, PeerLost(b"bob"))
    assert delivered(done, b"bob") == []
    assert _attempts(bus) == [("r1", 1)]


def test_a_session_that_is_taken_for_dead_is_leased_nothing_before_that(
    bus: Harness,
) -> None:
    bus.join_up("alice", "bob")
    bus.credit(b"bob", 5)
    bus.mono += 7
    done = bus.turn(_mail("m1"))
    assert delivered(done, b"bob") == []
    assert _attempts(bus) == [("m1", 1)]


def test_who_speaks_in_this_turn_is_not_taken_for_dead(bus: Harness) -> None:
    bus.join_up("alice", "bob")
    bus.credit(b"bob", 5)
    bus.mono += 7
    done = bus.turn(_mail("m1"), _said("bob", Ping(1)))
    assert len(delivered(done, b"bob")) == 1


def test_a_bounce_goes_to_no_session_that_is_taken_for_dead_with_another(
    bus: Harness,
) -> None:
    bus.join_up("alice", "bob")
    bus.send(b"alice", draft("m1", "bob"))
    for _ in range(4):
        bus.fetch(b"bob")
        bus.lose(b"bob")
        bus.hello(b"bob")
    assert bus.fetch(b"bob")[0].receipt[1] == 5
    bus.hello(b"alice")
    bus.credit(b"alice", 5)
    bus.mono += 7
    assert delivered(bus.turn(), b"alice") == []
    bus.hello(b"alice")
    (bounce,) = bus.fetch(b"alice")
    assert (bounce.header.kind, bounce.receipt[1]) == ("bounce", 1)
