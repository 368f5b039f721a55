"""The calls: who may do what, and what it changes."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ipcbus.broker.events import Admit, BackedUp, Backup, Expel, Say, Stop
from ipcbus.broker.reception import HANDLERS
from ipcbus.protocol.calls import METHODS
from ipcbus.protocol.limits import CHUNK
from ipcbus.protocol.messages import Answer, Call, Closed, Hello, Meta, Ping, Send
from ipcbus.protocol.pieces import pack_meta
from tests.broker.harness import (
    OPERATOR,
    OPERATOR_KEY,
    Harness,
    closed,
    draft,
    key_of,
    only,
    said,
)

ALICE, BOB = b"alice", b"bob"


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "bob")


def test_every_call_of_the_protocol_has_a_handler() -> None:
    assert set(HANDLERS) == set(METHODS)


@pytest.mark.parametrize(
    "name", [name for name, method in METHODS.items() if len(method.role) == 1]
)
def test_a_call_is_refused_to_those_it_is_not_for(bus: Harness, name: str) -> None:
    method = METHODS[name]
    args = ["x" if p.type is str else 1 for p in method.parameters]
    wrong = OPERATOR if "agent" in {r.value for r in method.role} else ALICE
    assert bus.refused(wrong, name, *args).code == "not_permitted"


def test_an_unknown_call_or_argument_is_refused_with_a_reason(bus: Harness) -> None:
    assert bus.refused(ALICE, "fly").facts["reason"] == "'fly' is unknown"
    assert bus.refused(ALICE, "join", 7).facts["reason"] == "must be text"


def test_a_name_can_be_claimed_once(bus: Harness) -> None:
    refusal = bus.refused(OPERATOR, "register", "Alice", key_of("mallory"))
    assert refusal.code == "name_taken"
    assert bus.call(OPERATOR, "register", "alice", key_of("alice")) == ["alice", False]


def test_the_brokers_own_name_cannot_be_claimed(bus: Harness) -> None:
    assert bus.refused(OPERATOR, "register", "IPCbus", key_of("x")).code == "name_taken"


def test_one_key_has_one_name(bus: Harness) -> None:
    refusal = bus.refused(OPERATOR, "register", "eve", key_of("alice"))
    assert refusal.code == "name_taken"
    refusal = bus.refused(OPERATOR, "register", "eve", OPERATOR_KEY)
    assert refusal.code == "not_permitted"


def test_an_invitation_is_good_once_and_for_its_name(bus: Harness) -> None:
    once = key_of("once")
    actions = bus.say(OPERATOR, Call(1, "invite", ["zoe", once, 60_000], b""))
    assert Admit(once) in actions
    bus.hello(b"once")
    assert bus.refused(b"once", "agents", 0).code == "not_permitted"
    actions = bus.say(b"once", Call(2, "redeem", [key_of("zoe")], b""))
    assert only(actions, Answer).value == ["zoe"]
    bus.hello(b"zoe")
    assert bus.call(b"zoe", "whoami")[:2] == ["zoe", "agent"]
    assert closed(bus.hello(b"once2", once)).code == "not_permitted"


def test_an_invitation_expires(bus: Harness) -> None:
    bus.call(OPERATOR, "invite", "zoe", key_of("once"), 2_000)
    bus.hello(b"once")
    actions = bus.advance(2)
    assert Expel(key_of("once"), "its invitation has expired") in actions
    assert "has expired" in closed(actions).facts["reason"], "who waits is told"
    assert closed(bus.say(b"once", Ping(1))).code == "disconnected"
    assert closed(bus.hello(b"once")).code == "not_permitted"


def test_an_invitation_that_nobody_uses_ends_at_its_time(bus: Harness) -> None:
    """The core asks to be called then, also while nobody is there."""
    bus.call(OPERATOR, "invite", "zoe", key_of("once"), 60_000)
    for peer in (OPERATOR, ALICE, BOB):
        bus.bye(peer)
    assert bus.broker.next_deadline(bus.now) == 60.0
    bus.advance(60)
    assert bus.broker.next_deadline(bus.now) is None


def test_an_invitation_that_expired_while_no_broker_ran_opens_nothing(
    bus: Harness,
) -> None:
    bus.call(OPERATOR, "invite", "zoe", key_of("once"), 60_000)
    bus.call(OPERATOR, "invite", "yan", key_of("later"), 90_000)
    bus.restart()
    known = {OPERATOR_KEY, key_of("alice"), key_of("bob"), key_of("later")}
    assert bus.broker.admitted(bus.wall + 60_000) == known
    actions = bus.advance(60)
    assert [one for one in actions if isinstance(one, Expel)] == [
        Expel(key_of("once"), "its invitation has expired")
    ]


def test_a_used_invitation_opens_nothing_any_more(bus: Harness) -> None:
    """From the turn on in which it is used; others who came in with it are out."""
    once = key_of("once")
    bus.call(OPERATOR, "invite", "zoe", once, 60_000)
    bus.hello(b"once")
    bus.hello(b"once/2")
    actions = bus.say(b"once/2", Call(1, "redeem", [key_of("zoe")], b""))
    assert Expel(once, "its invitation was used") in actions
    said_to = {one.peer: type(one.message) for one in actions if isinstance(one, Say)}
    assert said_to == {b"once": Closed, b"once/2": Answer}
    assert once not in bus.broker.admitted(bus.wall)


def test_an_invitation_that_was_used_is_refused_to_its_user(bus: Harness) -> None:
    """Both words came before the transport could end the connection."""
    bus.call(OPERATOR, "invite", "zoe", key_of("once"), 60_000)
    bus.hello(b"once")
    assert bus.call(b"once", "redeem", key_of("zoe")) == ["zoe"]
    refusal = bus.refused(b"once", "redeem", key_of("zoe"))
    assert refusal.code == "not_permitted"
    assert "was used" in refusal.facts["reason"]


def test_revoking_ends_live_sessions_at_once(bus: Harness) -> None:
    actions = bus.say(OPERATOR, Call(1, "revoke", ["bob"], b""))
    assert said(actions, Answer)[0].value == [1, 1]
    assert Expel(key_of("bob"), "its key was revoked") in actions
    late = bus.say(BOB, Send(1, [draft("m1", "alice")], [b"x"]))
    assert closed(late).code == "disconnected"
    assert closed(bus.hello(BOB)).code == "not_permitted"
    assert bus.fetch(ALICE) == []


def test_a_revoked_key_is_never_registered_again_but_the_name_can_be(
    bus: Harness,
) -> None:
    bus.send(ALICE, draft("m1", "bob"))
    bus.call(OPERATOR, "revoke", "bob")
    refusal = bus.refused(OPERATOR, "register", "bob", key_of("bob"))
    assert refusal.code == "not_permitted"
    bus.call(OPERATOR, "register", "bob", key_of("bob2"))
    bus.hello(b"bob2")
    assert [one.header.id for one in bus.fetch(b"bob2")] == ["m1"]


def test_an_agent_of_the_past_is_gone_from_the_admitted_keys(bus: Harness) -> None:
    bus.call(OPERATOR, "revoke", "bob")
    bus.restart()
    assert bus.broker.admitted(bus.wall) == {OPERATOR_KEY, key_of("alice")}


def test_another_major_version_is_refused_with_both_versions(bus: Harness) -> None:
    refusal = closed(bus.say(ALICE, Hello(2, 3, 0, "")))
    assert refusal.code == "version"
    assert refusal.facts["theirs"] == "2.3"


def test_an_older_or_newer_minor_version_is_served(bus: Harness) -> None:
    bus.say(b"alice/9", Hello(1, 99, 0, "new"))
    assert bus.call(b"alice/9", "whoami")[0] == "alice"


def test_nothing_is_said_to_who_did_not_say_hello(bus: Harness) -> None:
    actions = bus.say(b"alice/7", Call(1, "agents", [0], b""))
    assert closed(actions).code == "disconnected"


def test_messages_are_shown_to_those_they_concern_only(bus: Harness) -> None:
    bus.join_up("eve")
    bus.send(ALICE, draft("m1", "bob"), body="secret")
    for peer in (ALICE, BOB, OPERATOR):
        ((row,), _, _) = bus.call(peer, "show", "m1", 0, 100)
        assert row[3][0] == "m1"
    assert bus.refused(b"eve", "show", "m1", 0, 100).code == "no_such_message"
    assert bus.call(b"eve", "history", 10, None, None, None, 100)[0] == []
    assert bus.call(b"eve", "search", "secret", 10, None, 100)[0] == []


def test_history_and_search_find_what_was_acked(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob", thread="t1"), body="the schema is ready")
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, acks=[one.receipt])
    for rows in (
        bus.call(BOB, "history", 10, None, "alice", None, 100)[0],
        bus.call(ALICE, "history", 10, None, None, "t1", 100)[0],
        bus.call(BOB, "search", "schema", 10, None, 100)[0],
    ):
        assert [(row[3][0], row[1]) for row in rows] == [("m1", "done")]


def test_peek_leases_nothing(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob"), draft("m2", "bob"))
    rows, sizes, more = bus.call(BOB, "peek", 1, 100)
    assert ([row[3][0] for row in rows], sizes, more) == (["m1"], [2], True)
    assert len(bus.fetch(BOB)) == 2


def _upload(bus: Harness, peer: bytes, data: bytes) -> str:
    name = sha256(data).hexdigest()
    bus.call(peer, "blob_begin", name, len(data))
    for at in range(0, len(data), CHUNK):
        bus.call(peer, "blob_write", name, at, body=data[at : at + CHUNK])
    bus.call(peer, "blob_seal", name)
    return name


def test_an_attachment_is_read_by_sender_and_receiver_only(bus: Harness) -> None:
    bus.join_up("eve")
    data = bytes(range(256)) * 2000
    name = _upload(bus, ALICE, data)
    refs = [[name, len(data), "a.bin", None]]
    assert bus.send(ALICE, draft("m1", "bob", attachments=refs)) == []
    actions = bus.say(BOB, Call(1, "blob_read", [name, 0], b""))
    answer = only(actions, Answer)
    assert answer.value == [len(data)]
    assert answer.body == data[:CHUNK]
    assert bus.refused(b"eve", "blob_read", name, 0).code == "not_permitted"


def test_knowing_a_hash_is_not_having_the_attachment(bus: Harness) -> None:
    data = b"secret" * 10
    name = _upload(bus, ALICE, data)
    bus.send(ALICE, draft("m1", "alice", attachments=[[name, len(data), "a", None]]))
    assert bus.call(BOB, "blob_begin", name, len(data)) == [0]
    refusal = bus.send(
        BOB, draft("m2", "bob", attachments=[[name, len(data), "a", None]])
    )
    assert refusal[0][1] == "invalid_message"


def test_an_upload_that_its_agent_begins_again_is_stored(bus: Harness) -> None:
    data = b"twice begun"
    name = sha256(data).hexdigest()
    bus.call(ALICE, "blob_begin", name, len(data))
    bus.call(ALICE, "blob_write", name, 0, body=data[:5])
    _upload(bus, ALICE, data)
    refs = [[name, len(data), "a", None]]
    assert bus.send(ALICE, draft("m1", "bob", attachments=refs)) == []
    assert bus.call(BOB, "blob_read", name, 0) == [len(data)]


def test_bytes_that_do_not_have_the_hash_are_thrown_away(bus: Harness) -> None:
    name = sha256(b"right").hexdigest()
    bus.call(ALICE, "blob_begin", name, 5)
    bus.call(ALICE, "blob_write", name, 0, body=b"wrong")
    assert bus.refused(ALICE, "blob_seal", name).code == "invalid_message"
    assert _upload(bus, ALICE, b"right") == name


def test_a_backup_is_asked_of_the_loop_and_answered_when_it_ends(bus: Harness) -> None:
    actions = bus.say(OPERATOR, Call(7, "backup", ["/tmp/x.db"], b""))
    assert [a.ref for a in actions if isinstance(a, Backup)] == [7]
    actions = bus.turn(BackedUp(OPERATOR, 7, 123, None))
    assert only(actions, Answer).value == [123]


def test_shutdown_stops_the_loop(bus: Harness) -> None:
    assert Stop() in bus.say(OPERATOR, Call(1, "shutdown", [], b""))


def test_the_operator_owns_no_mailbox(bus: Harness) -> None:
    actions = bus.say(OPERATOR, Send(1, [draft("m1", "bob")], [b"x"]))
    assert closed(actions).code == "not_permitted"


def test_agents_tells_who_is_there(bus: Harness) -> None:
    bus.call(BOB, "join", "build")
    bus.lose(ALICE)
    rows = {row[0]: row[1:] for row in bus.call(BOB, "agents", 0)[0]}
    assert rows["bob"] == [True, 1, None, ["build"]]
    assert rows["alice"] == [True, 0, bus.wall, []]


def test_rows_whose_headers_are_long_come_in_more_pages(bus: Harness) -> None:
    meta = pack_meta(Meta(data="x" * 30_000))
    bus.send(ALICE, *(draft(f"m{n:02}", "bob", meta=meta) for n in range(20)))
    found: list[str] = []
    before = None
    while True:
        rows, _, more = bus.call(BOB, "history", 200, before, None, None, 10)
        found += [row[3][0] for row in rows]
        before = rows[-1][0]
        if not more:
            break
        assert len(rows) < 20
    assert found == [f"m{n:02}" for n in reversed(range(20))]


def test_a_broadcast_is_shown_to_those_who_got_it(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "*"))
    bus.join_up("late")
    assert bus.call(BOB, "show", "m1", 0, 10)[0][0][3][0] == "m1"
    assert bus.refused(b"late", "show", "m1", 0, 10).code == "no_such_message"


def test_long_listings_come_in_pages(bus: Harness) -> None:
    topics = [f"a-topic.with-a-very-long-name.{n:03}." + "x" * 90 for n in range(100)]
    for name in (f"agent-{n:03}" for n in range(30)):
        bus.call(OPERATOR, "register", name, key_of(name))
        bus.hello(name.encode())
        for topic in topics:
            bus.call(name.encode(), "join", topic)
    rows, offset = bus.call(OPERATOR, "agents", 0)
    assert offset == len(rows) < 32
    rest, end = bus.call(OPERATOR, "agents", offset)
    assert (len(rows) + len(rest), end) == (32, 0)
