"""`Client` and a real broker."""

from __future__ import annotations

import threading
import time

import pytest

import ipcbus
from ipcbus import Client, Outgoing, Receipt
from ipcbus.errors import (
    BoundExceeded,
    Disconnected,
    IdClash,
    InvalidAddress,
    InvalidMessage,
    NotPermitted,
    StaleLease,
    UnknownRecipient,
)
from ipcbus.networks import BrokerInfo
from tests.client.conftest import Connect

# --- sending and receiving ---


def test_a_message_arrives_as_it_was_sent(alice: Client, bob: Client) -> None:
    receipt = alice.send(
        "bob",
        "hello",
        data={"n": [1, 2.5, None, True]},
        kind="request",
        thread="t-1",
        ttl=60,
        priority=7,
        labels=("a", "b"),
        headers={"x": "y"},
        content_type="text/markdown",
    )
    assert receipt == Receipt(receipt.id, "accepted", "bob")
    (message,) = bob.receive(timeout=5)
    assert (message.id, message.sender, message.to) == (receipt.id, "alice", "bob")
    assert (message.body, message.kind, message.thread) == ("hello", "request", "t-1")
    assert message.data == {"n": [1, 2.5, None, True]}
    assert (message.priority, message.labels) == (7, ("a", "b"))
    assert message.headers == {"x": "y"}
    assert message.content_type == "text/markdown"
    assert message.expires_at == message.accepted_at + 60_000
    assert (message.attempt, message.trust, message.hops) == (1, "local", ())
    assert message.network == "dev"
    assert 0 <= message.age_s < 10


def test_bytes_stay_bytes_and_text_stays_text(alice: Client, bob: Client) -> None:
    for body in ("", "grüße \N{SNOWMAN}", b"", b"\x00\xff"):
        alice.send("bob", body)
        (message,) = bob.receive(timeout=5)
        assert message.body == body
        message.ack()


def test_an_ack_ends_a_message_and_a_nack_brings_it_again(
    alice: Client, bob: Client
) -> None:
    alice.send("bob", "x")
    (first,) = bob.receive(timeout=5)
    first.nack().result(5)
    (second,) = bob.receive(timeout=5)
    assert (second.id, second.attempt) == (first.id, 2)
    second.ack().result(5)
    assert bob.fetch() == ([], 0)


def test_only_the_first_word_about_a_delivery_counts(
    alice: Client, bob: Client
) -> None:
    alice.send("bob", "x")
    (message,) = bob.receive(timeout=5)
    assert message.ack() is message.ack() is message.nack()
    assert message.settled


def test_a_nack_may_delay_the_message(alice: Client, bob: Client) -> None:
    alice.send("bob", "x")
    (message,) = bob.receive(timeout=5)
    message.nack(delay=0.3, reason="busy").result(5)
    assert bob.receive(timeout=0.05) == []
    (again,) = bob.receive(timeout=5)
    assert again.attempt == 2


def test_a_released_message_comes_again_uncounted(alice: Client, bob: Client) -> None:
    alice.send("bob", "x")
    (message,) = bob.receive(timeout=5)
    message.release().result(5)
    assert bob.receive(timeout=5)[0].attempt == 1


def test_a_lease_that_is_extended_does_not_run_out(alice: Client, bob: Client) -> None:
    alice.send("bob", "x")
    (message,) = bob.receive(timeout=5, lease=1)
    message.extend(60).result(5)
    assert bob.receive(timeout=1.5, lease=1) == []
    message.ack().result(5)


def test_a_lease_that_has_run_out_is_told_by_the_ack(
    alice: Client, bob: Client
) -> None:
    alice.send("bob", "x")
    (message,) = bob.receive(timeout=5, lease=1)
    (again,) = bob.receive(timeout=5, lease=1)
    assert again.attempt == 2
    with pytest.raises(StaleLease):
        message.ack().result(5)
    again.ack().result(5)


def test_a_reply_goes_to_the_sender_in_the_thread(alice: Client, bob: Client) -> None:
    sent = alice.send("bob", "?")
    (question,) = bob.receive(timeout=5)
    question.reply("!", data=1)
    (answer,) = alice.receive(timeout=5)
    assert (answer.kind, answer.reply_to, answer.thread) == ("reply", sent.id, sent.id)
    assert (answer.body, answer.data) == ("!", 1)


def test_order_is_kept(alice: Client, bob: Client) -> None:
    under_way = [alice.submit("bob", str(n)) for n in range(3000)]
    got = []
    for message in bob:
        got.append(int(message.body))
        message.ack()
        if len(got) == 3000:
            break
    assert got == list(range(3000))
    assert all(sending.result(5).state == "accepted" for sending in under_way)


def test_receive_gives_up_after_its_timeout(bob: Client) -> None:
    begun = time.monotonic()
    assert bob.receive(timeout=0.2) == []
    assert 0.15 < time.monotonic() - begun < 2


def test_fetch_takes_what_was_asked_for_and_counts_the_rest(
    alice: Client, bob: Client
) -> None:
    alice.send_many([Outgoing("bob", str(n)) for n in range(10)])
    messages, remaining = bob.fetch(3)
    assert [m.body for m in messages] == ["0", "1", "2"]
    assert remaining == 7


def test_fetch_waits_for_the_first_message(alice: Client, bob: Client) -> None:
    sender = threading.Timer(0.2, alice.send, ("bob", "late"))
    sender.start()
    messages, _ = bob.fetch(5, timeout=5)
    sender.join()
    assert [m.body for m in messages] == ["late"]


# --- what can go wrong with a send ---


def test_send_many_tells_the_outcome_of_each(alice: Client, bob: Client) -> None:
    first, second, third, fourth = alice.send_many(
        [
            Outgoing("bob", "1"),
            Outgoing("nobody", "2"),
            Outgoing("not an address", "3"),
            Outgoing("bob", "4"),
        ]
    )
    assert isinstance(first, Receipt)
    assert isinstance(second, UnknownRecipient)
    assert isinstance(third, InvalidAddress)
    assert isinstance(fourth, Receipt)


def test_an_unknown_name_comes_with_near_ones(alice: Client, bob: Client) -> None:
    with pytest.raises(UnknownRecipient, match="bob") as raised:
        alice.send("bobb", "x")
    assert raised.value.near == ["bob"]


def test_future_waits_for_the_name(alice: Client, connect: Connect) -> None:
    assert alice.send("carol", "welcome", future=True).state == "future"
    (message,) = connect("carol").receive(timeout=5)
    assert message.body == "welcome"


def test_the_same_id_is_the_same_message(alice: Client, bob: Client) -> None:
    assert alice.send("bob", "x", id="key-1").state == "accepted"
    assert alice.send("bob", "x", id="key-1") == ("key-1", "accepted", "bob", 1, True)
    with pytest.raises(IdClash):
        alice.send("bob", "y", id="key-1")
    assert len(bob.fetch(10)[0]) == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"to": "no space"}, InvalidAddress),
        ({"kind": "bounce"}, InvalidMessage),
        ({"priority": 10}, InvalidMessage),
        ({"id": "ä"}, InvalidMessage),
        ({"ttl": 0}, InvalidMessage),
        ({"data": object()}, InvalidMessage),
        ({"body": "x" * (1 << 20) + "x"}, BoundExceeded),
    ],
)
def test_a_message_that_is_wrong_never_leaves(
    alice: Client, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        alice.send(**{"to": "bob", "body": "x", **options})  # type: ignore[arg-type]


# --- the client itself ---


def test_it_can_be_used_by_many_threads(alice: Client, bob: Client) -> None:
    def send(name: int) -> None:
        for n in range(200):
            alice.send("bob", f"{name}:{n}")

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    got: list[str] = []
    lock = threading.Lock()

    def receive() -> None:
        while len(got) < 1600:
            for message in bob.receive(10, timeout=0.2):
                with lock:
                    got.append(str(message.body))
                message.ack()

    threads += [threading.Thread(target=receive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == sorted(f"{a}:{b}" for a in range(8) for b in range(200))


def test_sessions_of_one_agent_share_its_mail(alice: Client, connect: Connect) -> None:
    one, two = connect("bob", prefetch=1), connect("bob", prefetch=1)
    assert one.receive(timeout=0.01) == two.receive(timeout=0.01) == []
    alice.send_many([Outgoing("bob", str(n)) for n in range(2)])
    assert one.receive(timeout=5)[0].id != two.receive(timeout=5)[0].id


def test_submit_waits_when_a_window_is_under_way(alice: Client, bob: Client) -> None:
    for _ in range(10_000):
        alice.submit("bob", "x")
        outbox = alice._engine.tracker.outbox
        assert len(outbox.waiting) + outbox.flying_messages <= 4097
    alice.flush(60)


def test_flush_waits_for_sends_and_acks(alice: Client, bob: Client) -> None:
    sendings = [alice.submit("bob", "x") for _ in range(100)]
    alice.flush()
    assert all(sending.done() for sending in sendings)
    acks = [message.ack() for message in bob.receive(100, timeout=5)]
    bob.flush()
    assert all(ack.done() for ack in acks)


def test_close_gives_back_what_was_not_read(alice: Client, connect: Connect) -> None:
    bob = connect("bob")
    alice.send_many([Outgoing("bob", str(n)) for n in range(5)])
    shown, acked = bob.receive(1, timeout=5)[0], bob.receive(1, timeout=5)[0]
    acked.ack()
    bob.close()
    messages, _ = connect("bob").fetch(10)
    found = [(m.body, m.attempt) for m in messages]
    assert found == [(shown.body, 2), ("2", 1), ("3", 1), ("4", 1)]


def test_close_may_keep_what_was_shown(alice: Client, connect: Connect) -> None:
    bob = connect("bob")
    alice.send("bob", "shown")
    ((message,), _) = bob.fetch()
    bob.close(keep_leases=True)
    other = connect("bob")
    assert other.fetch() == ([], 0)
    other.call("settle", "ack", message.id, 0, None)


def test_after_close_every_word_says_so(alice: Client) -> None:
    alice.close()
    alice.close()
    assert alice.closed
    for word in (
        lambda: alice.send("bob"),
        lambda: alice.submit("bob"),
        alice.receive,
        alice.fetch,
        alice.agents,
    ):
        with pytest.raises(Disconnected, match="closed"):
            word()
    assert list(alice) == []


def test_close_ends_a_wait_in_another_thread(bob: Client) -> None:
    ended = threading.Event()

    def read() -> None:
        for _ in bob:
            pass
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    bob.close()
    thread.join(5)
    assert ended.is_set()


def test_an_operator_has_no_mailbox(broker: BrokerInfo) -> None:
    with ipcbus.connect("dev", agent="") as operator:
        assert operator.agent is None
        assert operator.keys()[0].role == "operator"
        with pytest.raises(NotPermitted):
            operator.receive()


def test_a_client_that_is_forgotten_goes_away(
    alice: Client, broker: BrokerInfo
) -> None:
    bob = ipcbus.connect("dev", agent="bob")
    engine = bob._engine
    del bob
    assert engine.ended.wait(5)
    deadline = time.monotonic() + 5
    while next(a for a in alice.agents() if a.name == "bob").sessions:
        assert time.monotonic() < deadline


def test_a_signal_handler_may_send_while_a_send_is_under_way(alice: Client) -> None:
    """As if the signal had come where it does the most harm."""
    with alice._engine._submitting:
        assert alice.send("alice", "from the handler").state == "accepted"
    assert [one.body for one in alice.receive(timeout=10)] == ["from the handler"]
