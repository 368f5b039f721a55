"""What a sender is told: outcomes, refusals, idempotence, routes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ipcbus.broker.events import Received
from ipcbus.broker.settings import Settings
from ipcbus.errors import (
    BY_CODE,
    IpcbusError,
    StoreFailed,
    StoreFull,
    UnknownRecipient,
)
from ipcbus.protocol.messages import FLAG_FUTURE, REQUEST, Send
from ipcbus.store.memory import MemoryStore
from tests.broker.harness import (
    OPERATOR,
    Delivered,
    Harness,
    closed,
    delivered,
    draft,
    key_of,
)

ALICE, BOB, CAROL = b"alice", b"bob", b"carol"

AGAIN = [0, "accepted", {"again": True}]


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "bob", "carol")


def test_the_same_id_and_content_is_the_same_message(bus: Harness) -> None:
    assert bus.send(ALICE, draft("m1", "bob")) == []
    bus.advance(10)
    bus.restart()
    bus.hello(ALICE)
    bus.hello(BOB)
    assert bus.send(ALICE, draft("m1", "bob")) == [AGAIN]
    assert len(bus.fetch(BOB)) == 1


def test_it_is_also_the_same_when_it_was_acked_long_ago(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob", ttl_ms=60_000))
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, acks=[one.receipt])
    bus.advance(3)
    assert bus.send(ALICE, draft("m1", "bob", ttl_ms=60_000))[0] == AGAIN


def test_it_is_known_without_history_too() -> None:
    bus = Harness(Settings(history_ms=0))
    bus.join_up("alice", "bob")
    bus.send(ALICE, draft("m1", "bob"))
    (one,) = bus.fetch(BOB)
    bus.settle(BOB, acks=[one.receipt])
    assert bus.send(ALICE, draft("m1", "bob"))[0] == AGAIN
    assert bus.send(ALICE, draft("m1", "bob"), body="other")[0][1] == "id_clash"


@pytest.mark.parametrize(
    "change", [{"to": "carol"}, {"kind": REQUEST}, {"priority": 9}]
)
def test_the_same_id_with_other_content_is_refused(
    bus: Harness, change: dict[str, Any]
) -> None:
    bus.send(ALICE, draft("m1", "bob"))
    assert bus.send(ALICE, draft("m1", "bob")._replace(**change))[0][1] == "id_clash"
    assert bus.send(ALICE, draft("m1", "bob"), body="other")[0][1] == "id_clash"


def test_another_sender_cannot_use_a_known_id(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob"))
    assert bus.send(CAROL, draft("m1", "bob"))[0][1] == "id_clash"


def test_the_same_id_twice_in_one_batch_is_stored_once(bus: Harness) -> None:
    outcome = bus.send(ALICE, draft("m1", "bob"), draft("m1", "bob"))
    assert outcome == [[1, "accepted", {"again": True}]]
    assert len(bus.fetch(BOB)) == 1


def test_one_bad_message_does_not_stop_the_others(bus: Harness) -> None:
    outcome = bus.send(
        ALICE, draft("m1", "bob"), draft("m2", "no name"), draft("m3", "bob")
    )
    assert [(at, code) for at, code, _ in outcome] == [(1, "invalid_address")]
    assert [one.header.id for one in bus.fetch(BOB)] == ["m1", "m3"]


def test_an_unknown_recipient_is_refused_with_near_names(bus: Harness) -> None:
    ((_, code, facts),) = bus.send(ALICE, draft("m1", "carl"))
    assert code == "unknown_recipient"
    assert facts["near"] == ["carol"]
    assert "carol" in str(UnknownRecipient(**facts))


def test_names_are_found_whatever_their_case(bus: Harness) -> None:
    assert bus.send(ALICE, draft("m1", "BOB")) == []
    assert len(bus.fetch(BOB)) == 1


def test_future_mail_waits_for_the_name(bus: Harness) -> None:
    ((_, state, _),) = bus.send(ALICE, draft("m1", "dora", flags=FLAG_FUTURE))
    assert state == "future"
    bus.join_up("dora")
    bus.advance(8 * 24 * 3600)
    for name in (b"dora", ALICE):
        bus.hello(name)
    assert [one.header.id for one in bus.fetch(b"dora")] == ["m1"]


def test_future_mail_that_nobody_claims_comes_back(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "dora", flags=FLAG_FUTURE))
    bus.advance(7 * 24 * 3600 + 1)
    bus.hello(ALICE)
    (bounce,) = bus.fetch(ALICE)
    assert (bounce.header.kind, bounce.header.reply_to) == ("bounce", "m1")
    assert "5.1.1" in repr(bounce.header.meta)
    assert bus.counters()["bounced"] == 1


def test_an_expired_message_is_never_delivered_and_bounces(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob", ttl_ms=1000), draft("m2", "bob"))
    bus.advance(1.0)
    assert [one.header.id for one in bus.fetch(BOB)] == ["m2"]
    (bounce,) = bus.fetch(ALICE)
    assert bounce.header.reply_to == "m1"
    assert bus.counters()["expired"] == 1


def test_what_a_receiver_holds_does_not_expire_under_its_hands(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob", ttl_ms=1000))
    (one,) = bus.fetch(BOB)
    bus.advance(2)
    assert bus.settle(BOB, acks=[one.receipt]) == []
    assert bus.fetch(ALICE) == []


def _released(bus: Harness, one: Delivered) -> None:
    bus.settle(BOB, releases=[one.receipt])


def _nacked(bus: Harness, one: Delivered) -> None:
    bus.settle(BOB, nacks=[[*one.receipt, 0, None]])


def _put_off(bus: Harness, one: Delivered) -> None:
    bus.settle(BOB, nacks=[[*one.receipt, 60_000, None]])


def _lost(bus: Harness, one: Delivered) -> None:
    bus.lose(BOB)
    bus.hello(BOB)


def _left(bus: Harness, one: Delivered) -> None:
    bus.bye(BOB)
    bus.hello(BOB)


def _taken_over(bus: Harness, one: Delivered) -> None:
    bus.restart()
    bus.hello(BOB)
    bus.hello(ALICE)


@pytest.mark.parametrize(
    "comes_back", [_released, _nacked, _put_off, _lost, _left, _taken_over]
)
def test_what_expired_while_it_was_held_is_not_given_again(
    bus: Harness, comes_back: Callable[[Harness, Delivered], None]
) -> None:
    bus.send(ALICE, draft("m1", "bob", ttl_ms=2000), draft("m2", "bob"))
    one, two = bus.fetch(BOB)
    bus.settle(BOB, acks=[two.receipt])
    bus.advance(3)  # the lease is for 60 s, so m1 is not taken away
    assert "expired" not in bus.counters()

    comes_back(bus, one)

    assert bus.fetch(BOB) == []
    bus.advance(0.1)
    assert bus.fetch(BOB) == []
    assert [bounce.header.reply_to for bounce in bus.fetch(ALICE)] == ["m1"]
    assert bus.counters()["expired"] == 1


def test_a_bounce_or_an_ack_never_bounces(bus: Harness) -> None:
    bus.send(ALICE, draft("m1", "bob", kind="ack", ttl_ms=1000))
    bus.advance(2)
    assert bus.fetch(ALICE) == []
    assert bus.counters()["expired"] == 1


def test_a_broadcast_reaches_everyone_but_its_sender(bus: Harness) -> None:
    ((_, state, facts),) = bus.send(ALICE, draft("m1", "*"))
    assert (state, facts["recipients"]) == ("accepted", 2)
    assert len(bus.fetch(BOB)) == len(bus.fetch(CAROL)) == 1
    assert bus.fetch(ALICE) == []


def test_a_topic_reaches_those_whose_pattern_selects_it(bus: Harness) -> None:
    bus.call(BOB, "join", "deploy.**")
    bus.call(CAROL, "join", "#build")
    bus.send(ALICE, draft("m1", "#deploy.api.prod"))
    assert len(bus.fetch(BOB)) == 1
    assert bus.fetch(CAROL) == []
    bus.call(BOB, "leave", "deploy.**")
    assert bus.send(ALICE, draft("m2", "#deploy.api"))[0][1] == "unknown_recipient"


def test_a_full_mailbox_refuses_and_says_which_bound() -> None:
    bus = Harness(Settings(mailbox_messages=2))
    bus.join_up("alice", "bob", "carol")
    outcome = bus.send(ALICE, *(draft(f"m{n}", "bob") for n in range(3)))
    ((position, code, facts),) = outcome
    assert (position, code) == (2, "bound_exceeded")
    assert facts["bound"] == "mailbox_messages of bob"
    (one, *_) = bus.fetch(BOB)
    bus.settle(BOB, acks=[one.receipt])
    assert bus.send(ALICE, draft("m2", "bob")) == []


def test_a_full_mailbox_does_not_stop_a_broadcast_but_its_sender_is_told() -> None:
    bus = Harness(Settings(mailbox_messages=1))
    bus.join_up("alice", "bob", "carol")
    bus.send(ALICE, draft("m1", "bob"))
    bus.send(ALICE, draft("m2", "*"))
    assert [one.header.id for one in bus.fetch(CAROL)] == ["m2"]
    (bounce,) = bus.fetch(ALICE)
    assert "5.2.2" in repr(bounce.header.meta)
    assert bus.send(ALICE, draft("m2", "*"))[0] == AGAIN
    assert len(bus.fetch(ALICE)) == 0


def test_a_sender_above_its_rate_is_refused(bus: Harness) -> None:
    bus.call(OPERATOR, "limit", "alice", 1, 0)
    outcome = bus.send(ALICE, *(draft(f"m{n}", "bob") for n in range(12)))
    assert [facts["bound"] for _, _, facts in outcome] == ["rate", "rate"]
    bus.advance(1)
    assert bus.send(ALICE, draft("n", "bob")) == []


def test_a_body_above_the_agents_limit_is_refused(bus: Harness) -> None:
    bus.call(OPERATOR, "limit", "alice", 0, 10)
    ((_, _, facts),) = bus.send(ALICE, draft("m1", "bob"), body="x" * 11)
    assert facts == {"bound": "max_body", "value": 11, "limit": 10}


def test_a_renamed_agent_is_found_under_its_old_name_for_two_hours(
    bus: Harness,
) -> None:
    bus.call(BOB, "rename", None, "robert")
    ((_, state, facts),) = bus.send(ALICE, draft("m1", "bob"))
    assert (state, facts) == ("forwarded", {"to": "robert"})
    (notice,) = bus.fetch(ALICE)
    assert (notice.header.kind, notice.header.trust) == ("control", "broker")
    assert bus.refused(BOB, "rename", None, "rob").code == "bound_exceeded"
    bus.advance(2 * 3600 + 1)
    bus.hello(ALICE)
    assert bus.send(ALICE, draft("m2", "bob"))[0][1] == "unknown_recipient"


def test_nobody_takes_a_name_that_still_forwards(bus: Harness) -> None:
    bus.call(BOB, "rename", None, "robert")
    assert bus.refused(OPERATOR, "register", "bob", key_of("x")).code == "name_taken"


def test_an_address_in_another_network_needs_a_bridge(bus: Harness) -> None:
    ((_, code, facts),) = bus.send(ALICE, draft("m1", "bob@prod"))
    assert code == "unknown_recipient"
    assert "bridge" in facts["hint"]
    assert bus.send(ALICE, draft("m2", "bob@dev")) == []


def test_who_sent_it_follows_from_the_key_alone(bus: Harness) -> None:
    bus.turn()
    actions = bus.say(ALICE, Send(1, [draft("m1", "bob")], [b"x"]), key=key_of("bob"))
    assert closed(actions).code == "disconnected"
    assert bus.fetch(BOB) == []


def test_a_client_cannot_send_to_itself_by_broadcast_when_alone() -> None:
    bus = Harness()
    bus.join_up("alice")
    ((_, code, _),) = bus.send(ALICE, draft("m1", "*"))
    assert BY_CODE[code] is UnknownRecipient


def test_a_late_batch_with_known_ids_delivers_only_the_new_ones(bus: Harness) -> None:
    bus.credit(BOB, 100)
    bus.send(ALICE, draft("m1", "bob"), draft("m2", "bob"))
    actions = bus.say(
        ALICE,
        Send(1, [draft(f"m{n}", "bob") for n in (1, 2, 3)], [b"hi"] * 3),
    )
    assert [one.header.id for one in delivered(actions, BOB)] == ["m3"]


def test_the_ids_of_the_brokers_own_messages_cannot_be_taken(bus: Harness) -> None:
    ((_, code, facts),) = bus.send(ALICE, draft("ipcbus-7", "bob"))
    assert (code, facts["field"]) == ("invalid_message", "id")


def test_a_message_that_was_accepted_stays_so_when_its_mailbox_is_full_now() -> None:
    bus = Harness(Settings(mailbox_messages=1))
    bus.join_up("alice", "bob")
    assert bus.send(ALICE, draft("m1", "bob")) == []
    assert bus.send(ALICE, draft("m1", "bob")) == [AGAIN]
    assert bus.send(ALICE, draft("m2", "bob"))[0][1] == "bound_exceeded"


def test_the_first_answer_comes_again_for_future_and_forwarded_mail(
    bus: Harness,
) -> None:
    for _ in range(2):
        outcome = bus.send(ALICE, draft("m1", "dora", flags=FLAG_FUTURE))
        assert outcome[0][1] == "future"
    bus.call(BOB, "rename", None, "robert")
    for _ in range(2):
        ((_, state, facts),) = bus.send(ALICE, draft("m2", "bob"))
        assert (state, facts["to"]) == ("forwarded", "robert")


@pytest.mark.parametrize(
    "error", [StoreFailed(reason="EIO"), StoreFull(network="dev")], ids=repr
)
def test_an_error_of_the_store_is_no_refusal_but_voids_the_turn(
    bus: Harness, monkeypatch: pytest.MonkeyPatch, error: IpcbusError
) -> None:
    def fail(agent: object) -> None:
        raise error

    bus.store.begin()
    monkeypatch.setattr(bus.store.registry, "put_agent", fail)
    late = Send(1, [draft("m1", "dora", flags=FLAG_FUTURE)], [b"x"])
    with pytest.raises(type(error)):
        bus.broker.handle([Received(ALICE, key_of("alice"), late)], bus.now)
    bus.store.rollback()
    monkeypatch.undo()
    bus.restart()  # as the loop does: this core is not used again


def test_a_store_without_room_refuses_sends_and_takes_acks() -> None:
    bus = Harness(make=partial(MemoryStore, capacity=60_000))
    bus.join_up("alice", "bob")
    ids = [f"m{n}" for n in range(200)]
    outcomes = [bus.send(ALICE, draft(i, "bob"), body="x" * 1000) for i in ids]
    refused = [one[0][1] for one in outcomes if one]
    assert set(refused) == {"store_full"}
    assert 0 < len(refused) < 200
    found = bus.fetch(BOB)
    assert bus.settle(BOB, acks=[one.receipt for one in found]) == []
    first = bus.send(ALICE, draft("m0", "bob"), body="x" * 1000)
    assert first == [AGAIN]
