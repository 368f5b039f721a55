"""Many messages in one word: in pieces, in order, each with its own outcome."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ipcbus import Client, Outgoing, Receipt
from ipcbus.client.engine import PIECE
from ipcbus.errors import (
    Disconnected,
    InvalidAddress,
    InvalidMessage,
    IpcbusError,
    TimedOut,
    UnknownRecipient,
)
from ipcbus.protocol.limits import MAX_BODY, SEND_WINDOW


def taken(client: Client, count: int) -> list[str]:
    """The next bodies, acked."""
    found: list[str] = []
    while len(found) < count:
        messages = client.receive(1000, timeout=10)
        assert messages
        for message in messages:
            message.ack()
            found.append(str(message.body))
    return found


def test_every_error_stands_in_its_place(alice: Client, bob: Client) -> None:
    wrong: dict[int, tuple[Outgoing, type[IpcbusError]]] = {
        0: (Outgoing("bob", priority=99), InvalidMessage),
        PIECE - 1: (Outgoing("a b"), InvalidAddress),
        PIECE: (Outgoing("nobody", "x"), UnknownRecipient),
        2 * PIECE + 7: (Outgoing("bob", kind="bounce"), InvalidMessage),
    }
    count = 3 * PIECE
    right = [Outgoing("bob", str(n)) for n in range(count)]
    said = [wrong[n][0] if n in wrong else out for n, out in enumerate(right)]
    outcomes = alice.send_many(said)
    assert len(outcomes) == count
    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, wrong[n][1] if n in wrong else Receipt), n
    expected = [str(n) for n in range(count) if n not in wrong]
    assert taken(bob, len(expected)) == expected


def test_an_address_and_a_body_are_a_message(alice: Client, bob: Client) -> None:
    wrong: list[Any] = [
        ("a b", "x"),
        ("bob", 7),
        ("bob",),
        ("bob", "x", None),
        "x",
        None,
    ]
    said = [("bob", "one"), *wrong, Outgoing("bob", "two"), ("bob", b"three")]
    first, *refused, second, third = alice.send_many(said)
    for receipt in (first, second, third):
        assert isinstance(receipt, Receipt)
        assert receipt == Receipt(receipt.id, "accepted", "bob")
    assert [type(error) for error in refused] == [InvalidAddress] + [InvalidMessage] * 5
    assert "an address and a body" in str(refused[-1])
    assert taken(bob, 3) == ["one", "two", "b'three'"]


def test_nothing_but_errors(alice: Client) -> None:
    before = alice._engine.last_sending
    outcomes = alice.send_many([Outgoing("a b")] * 3)
    assert [type(outcome) for outcome in outcomes] == [InvalidAddress] * 3
    assert alice._engine.last_sending is before
    assert alice.send_many([]) == alice.send_many(()) == []


def test_more_than_a_window(alice: Client, bob: Client) -> None:
    count = SEND_WINDOW + 2 * PIECE + 1
    outcomes = alice.send_many([Outgoing("bob", str(n)) for n in range(count)])
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, Receipt)]
    assert len(set(ids)) == count
    engine = alice._engine
    assert engine._taken == engine.tracker.outbox.answered == count
    assert engine._taken_bytes == engine.tracker.outbox.answered_bytes


def test_more_bytes_than_a_window(alice: Client, bob: Client) -> None:
    outcomes = alice.send_many([Outgoing("bob", b"x" * MAX_BODY)] * 20)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert alice._engine._taken_bytes == alice._engine.tracker.outbox.answered_bytes


def test_what_comes_one_after_the_other_is_sent_as_it_comes(
    alice: Client, bob: Client
) -> None:
    def talk() -> Iterator[Outgoing]:
        yield Outgoing("bob", "first")
        assert taken(bob, 1) == ["first"]  # before the second is there
        yield Outgoing("bob", "second")

    assert len(alice.send_many(talk())) == 2


def test_without_room_each_is_told(
    alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alice._engine, "has_room", lambda: False)
    outcomes = alice.send_many([Outgoing("bob", "x")] * 3, timeout=0.01)
    assert [type(outcome) for outcome in outcomes] == [TimedOut] * 3


def test_after_close_it_raises(alice: Client) -> None:
    alice.close()
    with pytest.raises(Disconnected):
        alice.send_many([Outgoing("bob", "x")])


def test_pieces_of_many_threads_keep_their_order(alice: Client, bob: Client) -> None:
    threads_, count = 6, 3 * PIECE + 5
    outcomes: dict[int, list[Receipt | IpcbusError]] = {}

    def many(name: int) -> None:
        said = [Outgoing("bob", f"{name}:{n}") for n in range(count)]
        outcomes[name] = alice.send_many(said)

    def singles(name: int) -> None:
        sendings = [alice.submit("bob", f"{name}:{n}") for n in range(count)]
        outcomes[name] = [sending.result(30) for sending in sendings]

    threads = [
        threading.Thread(target=many if n % 2 else singles, args=(n,))
        for n in range(threads_)
    ]
    for thread in threads:
        thread.start()
    got = taken(bob, threads_ * count)
    for thread in threads:
        thread.join(30)
    for name in range(threads_):
        mine = [body for body in got if body.startswith(f"{name}:")]
        assert mine == [f"{name}:{n}" for n in range(count)]
        ids = [outcome.id for outcome in outcomes[name] if isinstance(outcome, Receipt)]
        assert len(ids) == count
    engine = alice._engine
    assert engine._taken == engine.tracker.outbox.answered == threads_ * count
