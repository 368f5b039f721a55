"""Counters that no sum ties to others: each says how often something happened."""

from __future__ import annotations

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import FLAG_ACKED
from tests.broker.harness import Harness, draft


@pytest.fixture
def pair(bus: Harness) -> Harness:
    bus.join_up("alice", "bob")
    return bus


def told(bus: Harness, *names: str) -> list[int]:
    counters = bus.counters()
    return [counters.get(name, 0) for name in names]


def test_each_lease_is_a_delivery_and_all_but_the_first_a_redelivery(
    pair: Harness,
) -> None:
    pair.send(b"alice", draft("m1", "bob"), draft("m2", "bob"))
    pair.fetch(b"bob", 1)
    assert told(pair, "delivered", "redelivered") == [1, 0]
    pair.lose(b"bob")
    pair.hello(b"bob")
    pair.fetch(b"bob")
    assert told(pair, "delivered", "redelivered") == [3, 1]


def test_what_was_never_shown_is_delivered_anew_and_not_again(pair: Harness) -> None:
    pair.send(b"alice", draft("m1", "bob"))
    (mail,) = pair.fetch(b"bob")
    pair.settle(b"bob", releases=[mail.receipt])
    pair.fetch(b"bob")
    assert told(pair, "delivered", "redelivered", "nacked") == [2, 0, 0]


def test_a_nack_counts_and_a_stale_one_does_not(pair: Harness) -> None:
    pair.send(b"alice", draft("m1", "bob"))
    (mail,) = pair.fetch(b"bob")
    seq, attempt = mail.receipt
    assert pair.settle(b"bob", nacks=[[seq, attempt + 1, 0, None]]) == [seq]
    assert told(pair, "nacked") == [0]
    assert pair.settle(b"bob", nacks=[[seq, attempt, 0, None]]) == []
    assert told(pair, "nacked") == [1]


def test_what_is_refused_counts_and_the_rest_of_its_batch_is_accepted(
    pair: Harness,
) -> None:
    pair.send(b"alice", draft("m1", "bob"), draft("m2", "nobody"), draft("m3", "bob"))
    assert told(pair, "accepted", "refused", "duplicates") == [2, 1, 0]


def test_what_was_sent_before_counts_as_a_duplicate_alone(pair: Harness) -> None:
    pair.send(b"alice", draft("m1", "bob"), draft("m2", "bob"))
    pair.send(b"alice", draft("m1", "bob"), draft("m2", "bob"), draft("m3", "bob"))
    assert told(pair, "accepted", "refused", "duplicates") == [3, 0, 2]


def test_an_ack_counts_once_and_its_receipt_is_a_message_of_its_own(
    pair: Harness,
) -> None:
    pair.send(b"alice", draft("m1", "bob", flags=FLAG_ACKED))
    (mail,) = pair.fetch(b"bob")
    assert pair.settle(b"bob", acks=[mail.receipt]) == []
    assert pair.settle(b"bob", acks=[mail.receipt]) == [mail.receipt[0]]
    assert told(pair, "accepted", "acked") == [2, 1]


def test_what_is_given_up_is_one_dead_letter() -> None:
    bus = Harness(Settings(max_attempts=2))
    bus.join_up("alice", "bob")
    bus.send(b"alice", draft("m1", "bob"))
    for _ in range(2):
        (mail,) = bus.fetch(b"bob")
        bus.settle(b"bob", nacks=[[*mail.receipt, 0, None]])
    assert told(bus, "nacked", "redelivered", "dead") == [2, 1, 1]
    bus.close()


@pytest.mark.parametrize(
    ("reason", "told_"), [("no time", "no time"), (None, "refused by its receiver")]
)
def test_who_sent_it_is_told_why_it_was_given_up(
    reason: str | None, told_: str
) -> None:
    bus = Harness(Settings(max_attempts=1))
    bus.join_up("alice", "bob")
    bus.send(b"alice", draft("m1", "bob"))
    (mail,) = bus.fetch(b"bob")
    bus.settle(b"bob", nacks=[[*mail.receipt, 5000, reason]])
    (bounce,) = bus.fetch(b"alice")
    assert told_ in repr(bounce.header.meta)
    bus.close()
