"""Claude Code, Gemini CLI and Codex register, list, send and receive by our tools."""

from __future__ import annotations

import pytest

import ipcbus
from ipcbus import Client
from tests.clis.conftest import Sit
from tests.clis.script import Call, Say
from tests.clis.seats import SEATS

QUESTION = "is the build green?"
ANSWER = "yes, as a meadow in May"


@pytest.mark.parametrize("name", SEATS)
def test_it_registers_lists_sends_and_receives(
    name: str, sit: Sit, bob: Client
) -> None:
    seat = sit(
        name,
        Call("profile", {"name": name}),
        Call("agents", {}),
        Call("send", {"to": "bob", "text": QUESTION}),
        Call("inbox", {}),
        Call("status", {}),
        Say("That is all."),
    )
    # The next thing the program says to its model after the call.
    seat.model.when(QUESTION, lambda: answer(bob, name))
    assert "That is all." in seat.ask("Ask bob about the build.")
    _, registered, listed, sent, received, *_ = seat.model.requests
    assert f'"agent":"{name}"' in registered.news
    assert '"name":"bob"' in listed.news
    assert '"state":"accepted"' in sent.news
    assert ANSWER in received.news
    assert '"from":"bob"' in received.news
    assert left_over(name) == []


def answer(bob: Client, name: str) -> None:
    (message,) = bob.receive(timeout=10.0)
    assert (message.sender, message.body) == (name, QUESTION)
    message.reply(ANSWER)
    message.ack()
    bob.flush()


def left_over(name: str) -> list[str]:
    """What of the agent's mail is not acked."""
    with ipcbus.connect("dev", agent=name) as client:
        messages, _ = client.fetch(10)
        return [str(message.body) for message in messages]
