"""Two idle programs of two makers talk over the bus, and nobody types a word."""

from __future__ import annotations

from ipcbus import Client
from tests.clis.conftest import Sit
from tests.clis.script import Call, Say
from tests.clis.terminal import Terminal

ORDER = "please find out from codex how the build is"
QUESTION = "is the build green?"
ANSWER = "yes, as a meadow in May"
IDLE = "I am idle now."


def test_claude_code_asks_codex_and_both_were_idle(sit: Sit, bob: Client) -> None:
    asking = sit(
        "claude",
        Say(IDLE),
        Call("send", {"to": "codex", "text": QUESTION}),
        Say("I asked codex."),
        Call("send", {"to": "bob", "text": ANSWER}),
        Say("I told bob."),
    )
    answering = sit(
        "codex",
        Say(IDLE),
        Call("send", {"to": "claude", "text": ANSWER}),
        Say("I told claude."),
    )
    one = [*asking.start, "--allowedTools", "mcp__ipcbus", "--", "Hello."]
    other = [*answering.start, "Hello."]
    with (
        Terminal(one, env=asking.env, cwd=asking.folder) as first,
        Terminal(other, env=answering.env, cwd=answering.folder) as second,
    ):
        first.wait_for(IDLE)
        second.wait_for(IDLE)
        # Else the answer might come in the turn that asks, and not wake anybody.
        answering.model.when(QUESTION, lambda: first.wait_for("I asked codex."))
        bob.send("claude", ORDER)
        (message,) = bob.receive(timeout=30.0)
        assert (message.sender, message.body) == ("claude", ANSWER)
        message.ack()
        first.wait_for("I told bob.")
        second.wait_for("I told claude.")
    answering.model.wait_for(QUESTION)
    asking.model.wait_for(ANSWER)
