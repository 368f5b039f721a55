"""The loop guard in a broker: what senders and people are told, and what is stored."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.events import Log
from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import FLAG_ACKED, Accepted, Meta, Send
from ipcbus.protocol.pieces import unpack_meta
from tests.broker.harness import OPERATOR, Harness, draft, only

ALICE, BOB, CAROL, HUMAN = b"alice", b"bob", b"carol", b"hugo"
SETTINGS = Settings(guard_pair=4, guard_thread=6, guard_repeats=2, guard_human="hugo")


@pytest.fixture
def bus() -> Any:
    harness = Harness(SETTINGS)
    harness.join_up("alice", "bob", "carol")
    yield harness
    harness.close()


class Ids:
    """Fresh ids, and what became of the last send."""

    def __init__(self, bus: Harness) -> None:
        self.bus = bus
        self.count = 0

    def say(self, sender: bytes, to: str, body: str = "", **fields: Any) -> str | None:
        """The code with which it was refused; None if it was not."""
        self.count += 1
        text = body or f"words {self.count}"
        told = self.bus.send(sender, draft(f"m{self.count}", to, **fields), body=text)
        return str(told[0][1]) if told and told[0][1] != "accepted" else None

    def loop(self, *to: str, **fields: Any) -> int:
        """Alice and bob answer each other, or both there, until one is refused; how
        many are not."""
        for at in range(100):
            there = (to or ("bob", "alice"))[at % len(to or "ab")]
            if self.say((ALICE, BOB)[at % 2], there, **fields) is not None:
                return at
        return 100


def _status(bus: Harness, peer: bytes = OPERATOR) -> dict[str, Any]:
    status: dict[str, Any] = bus.call(peer, "status")
    return status


def _restart(bus: Harness, settings: Settings) -> None:
    bus.settings = settings
    bus.restart()
    for peer in (ALICE, BOB, OPERATOR):
        bus.hello(peer)


def test_what_is_stopped_is_not_stored_and_its_sender_knows_why(bus: Harness) -> None:
    ids = Ids(bus)
    assert ids.loop() == 6
    ((at, code, facts),) = bus.send(ALICE, draft("more", "bob"))
    assert (at, code) == (0, "loop_stopped")
    assert facts["agents"] == ["alice", "bob"]
    assert facts["turns"] == 4
    assert facts["until_ms"] == bus.wall + 60_000
    assert len(bus.fetch(BOB)) == 3
    assert bus.refused(BOB, "show", "more", 0, 10).code == "no_such_message"


def test_people_are_told_once_and_status_tells_the_rest(bus: Harness) -> None:
    bus.join_up("hugo")
    ids = Ids(bus)
    ids.loop()
    for _ in range(3):
        assert ids.say(ALICE, "bob") == "loop_stopped"
    (notice,) = bus.fetch(HUMAN)
    assert notice.header.sender == "ipcbus"
    assert "alice and bob answered each other 4 times in a minute" in notice.text
    meta = unpack_meta(notice.header.meta)
    assert isinstance(meta, Meta)
    assert meta.data["event"] == "loop_stopped"
    assert meta.data["agents"] == ["alice", "bob"]
    status = _status(bus)
    (row,) = status["guards"]["rounds"]
    assert row["agents"] == ["alice", "bob"]
    assert row["until_ms"] == bus.wall + 60_000
    assert status["counters"]["loop_stopped"] == 4
    assert _status(bus, BOB)["guards"]["rounds"] == [row]
    assert _status(bus, CAROL)["guards"]["rounds"] == []


def test_the_log_tells_of_it_also_where_no_person_is_named() -> None:
    bus = Harness(Settings(guard_pair=1, guard_human=""))
    bus.join_up("alice", "bob")
    logged = []
    for at, (sender, to) in enumerate([(ALICE, "bob"), (BOB, "alice")] * 3):
        actions = bus.say(sender, Send(at, [draft(f"m{at}", to)], [b"%d" % at]))
        logged += [action.text for action in actions if isinstance(action, Log)]
    assert logged == [
        "the loop guard of dev stopped a loop: alice and bob answered each other "
        "1 times in a minute; no more of that is taken for 60 s"
    ]
    bus.close()


def test_it_goes_on_when_the_time_is_over(bus: Harness) -> None:
    ids = Ids(bus)
    ids.loop()
    bus.advance(59)
    bus.hello(ALICE)
    assert ids.say(ALICE, "bob") == "loop_stopped"
    bus.advance(1.1)
    assert ids.say(ALICE, "bob") is None


def test_what_was_accepted_once_is_accepted_again_while_a_loop_is_stopped(
    bus: Harness,
) -> None:
    Ids(bus).loop()
    ((_, outcome, facts),) = bus.send(ALICE, draft("m5", "bob"), body="words 5")
    assert (outcome, facts) == ("accepted", {"again": True})


def test_a_run_of_messages_alike_is_stopped_as_one(bus: Harness) -> None:
    Ids(bus).loop()
    told = bus.send(ALICE, *[draft(f"r{at}", "bob") for at in range(50)])
    assert [code for _, code, _ in told] == ["loop_stopped"] * 50
    told = bus.send(BOB, *[draft(f"s{at}", "alice") for at in range(50)])
    assert told == [], "it was alice's turn: more of bob's is no new turn"


def test_the_same_words_over_and_over_are_refused_with_their_number(
    bus: Harness,
) -> None:
    _restart(bus, Settings(guard_repeats=2))
    ids = Ids(bus)
    refused = []
    for _ in range(5):
        refused.append(ids.say(ALICE, "bob", "thank you!"))
        ids.say(BOB, "alice")
    assert refused == [None, None, None, "repeated", "repeated"]
    assert _status(bus)["counters"]["repeated"] == 2


def test_two_that_answer_in_a_topic_are_stopped(bus: Harness) -> None:
    for peer in (ALICE, BOB, CAROL):
        bus.call(peer, "join", "room")
    ids = Ids(bus)
    assert ids.loop("#room") <= 2 * 5 + 1
    ((_, _, facts),) = bus.send(ALICE, draft("x1", "#room"))
    assert facts["agents"] == ["#room", "alice"]
    assert facts["reason"].startswith("alice took 4 turns in #room in a minute")


def test_who_does_not_read_a_topic_may_say_there_what_it_likes(bus: Harness) -> None:
    bus.call(CAROL, "join", "room")
    ids = Ids(bus)
    assert {ids.say((ALICE, BOB)[at % 2], "#room") for at in range(30)} == {None}


def test_two_that_answer_everyone_are_stopped(bus: Harness) -> None:
    assert Ids(bus).loop("*") <= 2 * 5 + 1


def test_a_conversation_has_its_turns_and_no_more(bus: Harness) -> None:
    _restart(bus, Settings(guard_thread=6))
    ids = Ids(bus)
    assert ids.loop(thread="plan") == 2 + 6
    assert ids.say(ALICE, "bob", thread="another") is None
    assert _status(bus)["guards"]["threads"] == ["plan"]


def test_an_agent_that_is_renamed_is_still_the_same(bus: Harness) -> None:
    ids = Ids(bus)
    ids.loop()
    bus.call(OPERATOR, "rename", "bob", "bobby")
    ((_, code, facts),) = bus.send(ALICE, draft("x1", "bobby"))
    assert (code, facts["agents"]) == ("loop_stopped", ["alice", "bobby"])


def test_nothing_is_stopped_where_all_is_allowed() -> None:
    bus = Harness(Settings(guard_pair=0, guard_thread=0, guard_repeats=0))
    bus.join_up("alice", "bob")
    assert Ids(bus).loop() == 100
    bus.close()


# --- what cannot be answered ----------------------------------------------------------


def test_an_ack_cannot_be_answered(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob"))
    bus.send(BOB, draft("a1", "alice", kind="ack", reply_to="m1"))
    ((_, code, facts),) = bus.send(ALICE, draft("m2", "bob", reply_to="a1"))
    assert code == "not_permitted"
    assert "nobody waits for an answer to a1" in facts["reason"]


def test_what_the_broker_wrote_cannot_be_answered(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob", flags=FLAG_ACKED))
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, acks=[one.receipt])
    (receipt,) = bus.fetch(ALICE)
    assert receipt.header.kind == "ack"
    again = draft("m2", "bob", reply_to=receipt.header.id)
    ((_, code, _),) = bus.send(ALICE, again)
    assert code == "not_permitted"


def test_one_that_cannot_be_answered_stops_no_other_of_its_batch(bus: Harness) -> None:
    bad = draft("m2", "bob", reply_to="ipcbus-7")
    actions = bus.say(ALICE, Send(1, [draft("m1", "bob"), bad], [b"a", b"b"]))
    ((at, code, _),) = only(actions, Accepted).exceptions
    assert (at, code) == (1, "not_permitted")
    assert [one.header.id for one in bus.fetch(BOB)] == ["m1"]
