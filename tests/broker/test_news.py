"""`news`: what is worth waking somebody for, and who is woken."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker import news
from ipcbus.broker.events import Action
from ipcbus.protocol.limits import PAGE
from ipcbus.protocol.messages import FLAG_ACKED, Answer, Call, Send
from tests.broker.harness import OPERATOR, Harness, draft, said

ALICE, ALICE2, BOB = b"alice", b"alice/2", b"bob"
LONG_MS = 60_000


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "bob")


def _wait(bus: Harness, peer: bytes = ALICE, after: int = 0, ref: int = 777) -> None:
    actions = bus.say(peer, Call(ref, "news", [after, LONG_MS], b""))
    assert said(actions, Answer) == []


def _told(actions: list[Action]) -> list[tuple[int, Any]]:
    answers = said(actions, Answer)
    return [(answer.ref, answer.value) for answer in answers if answer.ref >= 777]


def _send(bus: Harness, id_: str, **fields: Any) -> list[Action]:
    return bus.say(BOB, Send(1, [draft(id_, "alice", **fields)], [b"hi"]))


def test_mail_is_news_and_acks_are_none(bus: Harness) -> None:
    assert bus.call(ALICE, "news", 0, 0) == [0, 0, 0, False]
    _send(bus, "a1", kind="ack")
    assert bus.call(ALICE, "news", 0, 0) == [0, 0, 1, False]
    _send(bus, "m1")
    _send(bus, "a2", kind="ack")
    assert bus.call(ALICE, "news", 0, 0) == [1, 2, 3, False]
    assert bus.call(ALICE, "news", 2, 0) == [0, 0, 3, False]


def test_what_is_leased_is_no_news_until_it_comes_back(bus: Harness) -> None:
    _send(bus, "m1")
    (one,) = bus.fetch(ALICE)
    assert bus.call(ALICE, "news", 0, 0) == [0, 0, 0, False]
    bus.settle(ALICE, releases=[one.receipt])
    assert bus.call(ALICE, "news", 0, 0) == [1, 1, 1, False]


def test_one_who_waits_is_told_in_the_turn_in_which_mail_comes(bus: Harness) -> None:
    _wait(bus)
    assert _told(_send(bus, "m1")) == [(777, [1, 1, 1, False])]
    assert _told(_send(bus, "m2")) == [], "it waits no longer"


def test_an_ack_or_a_receipt_wakes_nobody(bus: Harness) -> None:
    _wait(bus)
    assert _told(_send(bus, "a1", kind="ack")) == []
    bus.send(ALICE, draft("m1", "bob", flags=FLAG_ACKED))
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, acks=[one.receipt])
    assert bus.call(ALICE, "whoami")[3] == 2, "the receipt is there"
    assert _told(bus.advance(0.1)) == []
    assert _told(_send(bus, "m2")) == [(777, [1, 4, 3, False])]


def test_who_has_waited_long_enough_is_told_that_there_is_nothing(bus: Harness) -> None:
    _wait(bus)
    told = []
    for _ in range(LONG_MS // 2000):
        told += _told(bus.advance(2))
        bus.ping(ALICE)
    assert told == [(777, [0, 0, 0, False])]
    deadline = bus.broker.next_deadline(bus.now)
    assert deadline is not None
    assert deadline > 0


def test_the_broker_wakes_when_the_first_has_waited_long_enough(bus: Harness) -> None:
    bus.say(ALICE, Call(777, "news", [0, 300], b""))
    deadline = bus.broker.next_deadline(bus.now)
    assert deadline is not None
    assert deadline <= 0.3
    assert _told(bus.advance(0.3)) == [(777, [0, 0, 0, False])]


@pytest.mark.parametrize("end", ["told", "lost"])
def test_the_broker_does_not_wake_for_who_waits_no_longer(
    bus: Harness, end: str
) -> None:
    bus.hello(ALICE2)
    bus.say(ALICE2, Call(777, "news", [0, 300], b""))
    if end == "told":
        assert _told(_send(bus, "m1")) != []
    else:
        bus.lose(ALICE2)
    bus.advance(0.5)
    deadline = bus.broker.next_deadline(bus.now)
    assert deadline is not None
    assert deadline > 0


def test_what_another_session_takes_at_once_is_no_news(bus: Harness) -> None:
    bus.hello(ALICE2)
    bus.credit(ALICE2, 1)
    _wait(bus)
    assert _told(_send(bus, "m1")) == []
    assert _told(_send(bus, "m2")) == [(777, [1, 2, 1, False])]


def test_mail_that_comes_back_is_news_again(bus: Harness) -> None:
    _send(bus, "m1")
    bus.hello(ALICE2)
    bus.credit(ALICE2, 1)
    _wait(bus)
    assert _told(bus.lose(ALICE2)) == [(777, [1, 1, 1, False])]


def test_each_session_waits_once(bus: Harness) -> None:
    bus.hello(ALICE2)
    _wait(bus, ref=777)
    _wait(bus, ALICE2, ref=778)
    actions = bus.say(ALICE, Call(779, "news", [0, LONG_MS], b""))
    assert _told(actions) == [(777, [0, 0, 0, False])]
    assert sorted(_told(_send(bus, "m1"))) == [
        (778, [1, 1, 1, False]),
        (779, [1, 1, 1, False]),
    ]


def test_nobody_is_told_whose_session_has_ended(bus: Harness) -> None:
    _wait(bus)
    bus.lose(ALICE)
    assert _told(_send(bus, "m1")) == []


def test_while_paused_there_is_no_news_and_resuming_brings_it(bus: Harness) -> None:
    bus.call(OPERATOR, "pause", "alice")
    _send(bus, "m1")
    assert bus.call(ALICE, "news", 0, 0) == [0, 0, 1, True]
    _wait(bus)
    actions = bus.say(OPERATOR, Call(1, "resume", ["alice"], b""))
    assert _told(actions) == [(777, [1, 1, 1, False])]


def test_no_more_than_a_page_is_counted(bus: Harness) -> None:
    drafts = [draft(f"m{at}", "alice") for at in range(PAGE + 5)]
    bus.send(BOB, *drafts)
    count, _, waiting, _ = bus.call(ALICE, "news", 0, 0)
    assert (count, waiting) == (PAGE, PAGE + 5)


def test_behind_more_acks_than_are_looked_at_new_mail_is_still_known(
    bus: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "LOOKED_AT", 10)
    monkeypatch.setattr(news, "STEP", 4)
    bus.send(BOB, *[draft(f"a{at}", "alice", kind="ack") for at in range(20)])
    assert bus.call(ALICE, "news", 0, 0) == [0, 0, 20, False]
    _send(bus, "m1")
    assert bus.call(ALICE, "news", 0, 0) == [1, 21, 21, False]
    assert bus.call(ALICE, "news", 21, 0) == [0, 0, 21, False]


def test_nobody_waits_for_more_than_an_hour(bus: Harness) -> None:
    refusal = bus.refused(ALICE, "news", 0, 3_600_001)
    assert refusal.code == "invalid_message"
