"""What is acked when a model makes several calls at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ipcbus
from ipcbus import Client
from ipcbus.doors.tools import Desk, call
from ipcbus.networks import BrokerInfo


@pytest.fixture
def desk(broker: BrokerInfo) -> Iterator[Desk]:
    with Desk(["dev"], "model") as desk:
        assert "error" not in call(desk, "profile", {})
        yield desk


@pytest.fixture
def bob(desk: Desk) -> Iterator[Client]:
    with ipcbus.connect("dev", agent="bob") as client:
        yield client


def settled(desk: Desk, bob: Client, id_: str) -> str:
    """What became of a message, once the desk has said all it had to say."""
    desk.client().flush()
    return bob.show(id_).state


def texts(answer: dict[str, Any]) -> list[str]:
    return [message["text"] for message in answer["messages"]]


def test_a_call_acks_what_was_answered_before_it_came(desk: Desk, bob: Client) -> None:
    id_ = bob.send("model", "hello").id
    first = desk.turn()
    with first.taken():
        assert texts(call(desk, "inbox", {})) == ["hello"]
    first.answered()
    assert settled(desk, bob, id_) == "waiting"

    with desk.turn().taken():
        call(desk, "status", {})

    assert settled(desk, bob, id_) == "done"


def test_a_call_that_came_before_the_answer_acks_nothing_of_it(
    desk: Desk, bob: Client
) -> None:
    """Even if it is carried out after it: the model had not seen anything yet."""
    id_ = bob.send("model", "hello").id
    first, second = desk.turn(), desk.turn()
    with first.taken():
        call(desk, "inbox", {})
    first.answered()

    with second.taken():
        call(desk, "status", {})

    assert settled(desk, bob, id_) == "waiting"
    with desk.turn().taken():
        call(desk, "status", {})
    assert settled(desk, bob, id_) == "done"


def test_what_is_shown_is_not_on_the_desk_until_the_answer_is_out(
    desk: Desk, bob: Client
) -> None:
    id_ = bob.send("model", "hello").id
    first = desk.turn()
    with first.taken():
        call(desk, "inbox", {})

    with desk.turn().taken():
        call(desk, "status", {})

    assert settled(desk, bob, id_) == "waiting"
    first.answered()


def test_a_turn_that_is_no_sign_of_the_model_acks_nothing(
    desk: Desk, bob: Client
) -> None:
    id_ = bob.send("model", "hello").id
    call(desk, "inbox", {})

    with desk.turn(is_sign=False).taken():
        call(desk, "inbox", {"peek": True})

    assert settled(desk, bob, id_) == "waiting"


@pytest.mark.parametrize("is_early", [True, False], ids=["before", "after"])
def test_what_an_abandoned_call_shows_comes_again_as_new(
    desk: Desk, bob: Client, is_early: bool
) -> None:
    bob.send("model", "hello")
    turn = desk.turn()
    if is_early:
        turn.abandon()
    with turn.taken():
        assert texts(call(desk, "inbox", {})) == ["hello"]
    turn.abandon()

    (again,) = call(desk, "wait", {"timeout_s": 5})["messages"]

    assert again["text"] == "hello"
    assert "seen_before" not in again


def test_what_was_answered_comes_again_as_seen_before_if_the_reader_leaves(
    desk: Desk, bob: Client
) -> None:
    bob.send("model", "hello")
    turn = desk.turn()
    with turn.taken():
        call(desk, "inbox", {})
    turn.answered()
    desk.close()

    with Desk(["dev"], "model") as other:
        (again,) = call(other, "wait", {"timeout_s": 5})["messages"]

    assert again["seen_before"]


def test_who_read_to_the_end_acks_and_who_failed_has_seen_nothing(
    desk: Desk, bob: Client
) -> None:
    id_ = bob.send("model", "hello").id

    def fail() -> None:
        with desk.turn().read() as turn, turn.taken():
            assert texts(call(desk, "inbox", {})) == ["hello"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with desk.turn().read() as turn, turn.taken():
        (again,) = call(desk, "wait", {"timeout_s": 5})["messages"]

    assert "seen_before" not in again
    assert settled(desk, bob, id_) == "done"


def test_a_nack_within_a_turn_is_for_what_was_shown_before_it(
    desk: Desk, bob: Client
) -> None:
    ids = [bob.send("model", text).id for text in ("one", "two")]
    first = desk.turn()
    with first.taken():
        call(desk, "inbox", {})
    first.answered()

    with desk.turn().taken():
        (again,) = call(desk, "inbox", {"nack": ids[:1]})["messages"]

    assert (again["text"], again["seen_before"]) == ("one", True)
    assert settled(desk, bob, ids[1]) == "done"
