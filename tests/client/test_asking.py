"""Requests and their replies, and questions to the broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ipcbus import Client
from ipcbus.errors import (
    Bounced,
    InvalidMessage,
    NoSuchMessage,
    NotPermitted,
    TimedOut,
    UnknownRecipient,
)

# --- ask ---


def answer_all(client: Client) -> Callable[[], None]:
    """Answer whatever comes, in a thread; returns what ends it."""

    def serve() -> None:
        for message in client:
            message.reply(f"re: {message.raw_body.decode()}", timeout=5)
            message.ack()

    thread = threading.Thread(target=serve)
    thread.start()

    def end() -> None:
        client.close()
        thread.join(5)
        assert not thread.is_alive()

    return end


def test_ask_gets_its_own_reply_among_many(alice: Client, bob: Client) -> None:
    end = answer_all(bob)
    answers: dict[int, object] = {}

    def ask(number: int) -> None:
        answers[number] = alice.ask("bob", str(number), timeout=10).body

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    end()
    assert answers == {n: f"re: {n}" for n in range(20)}
    assert alice.fetch(10) == ([], 0)  # all of them are acked


def test_ask_does_not_disturb_a_reader(alice: Client, bob: Client) -> None:
    end = answer_all(bob)
    assert alice.receive(timeout=0.05) == []
    assert alice.ask("bob", "q", timeout=5).body == "re: q"
    end()
    assert alice.receive(timeout=0.05) == []


def test_ask_that_times_out_can_go_on_waiting(alice: Client, bob: Client) -> None:
    with pytest.raises(TimedOut) as raised:
        alice.ask("bob", "q", timeout=0.2)
    (question,) = bob.receive(timeout=5)
    question.reply("late")
    assert alice.wait_reply(raised.value.id, timeout=5).body == "late"


def test_ask_that_is_given_up_leaves_its_reply_in_the_mailbox(
    alice: Client, bob: Client
) -> None:
    with pytest.raises(TimedOut):
        alice.ask("bob", "q", timeout=0.2)
    (question,) = bob.receive(timeout=5)
    question.reply("late")
    (message,) = alice.receive(timeout=5)
    assert (message.body, message.attempt) == ("late", 1)


def test_ask_raises_what_came_back(alice: Client, bob: Client) -> None:
    with pytest.raises(Bounced) as raised:
        alice.ask("bob", "q", ttl=0.2, timeout=10)
    assert raised.value.status == "4.4.7"


def test_ask_an_unknown_name_is_refused_at_once(alice: Client) -> None:
    with pytest.raises(UnknownRecipient):
        alice.ask("nobody", "q", timeout=5)


# --- questions to the broker ---


def test_the_words_of_the_broker(alice: Client, bob: Client) -> None:
    assert alice.join("news.*") == ["news.*"]
    assert bob.topics()[0].agents == ["alice"]
    bob.send("#news.today", "hear")
    assert alice.peek().records[0].text == "hear"
    (message,) = alice.receive(timeout=5)
    message.ack().result(5)
    assert alice.leave("news.*") == []
    assert [agent.name for agent in alice.agents()] == ["alice", "bob"]
    assert alice.history(5).records[0].state == "done"
    assert alice.show(message.id, offset=2).text == "ar"
    assert alice.status()["network"] == "dev"
    assert alice.rename("al").new == "al"
    assert bob.send("alice", "x").state == "forwarded"
    with pytest.raises(NoSuchMessage):
        alice.show("no-such-id")


def test_search_finds_words(alice: Client, bob: Client) -> None:
    alice.send("bob", "the build is green")
    deadline = time.monotonic() + 10
    while not (found := alice.search("green").records):
        assert time.monotonic() < deadline
    assert found[0].text == "the build is green"


def test_dead_letters_can_be_replayed_and_dropped(alice: Client, bob: Client) -> None:
    alice.send("bob", "poison")
    for _ in range(5):
        bob.receive(timeout=5)[0].nack().result(5)
    (letter,) = bob.dead().letters
    assert (letter.mailbox, letter.attempt) == ("bob", 5)
    assert bob.replay(letter.header.id) == 1
    (message,) = bob.receive(timeout=5)
    assert message.body == "poison"
    message.ack().result(5)
    assert bob.drop() == 0


def test_a_call_that_is_refused_raises_the_reason(alice: Client) -> None:
    with pytest.raises(NotPermitted):
        alice.call("shutdown")
    with pytest.raises(InvalidMessage):
        alice.call("no-such-call")
