"""The plugin for Claude Code and the extension for Gemini CLI, in the real programs.

They do by a folder what `ipcbus install` does to settings, so that is not done here.
"""

from __future__ import annotations

from ipcbus import Client
from tests.clis.conftest import Sit
from tests.clis.script import Call, Say
from tests.clis.seats import CONFIGS, Seat, run
from tests.clis.terminal import Terminal
from tests.clis.test_noticing import MAIL, PROMPT, assert_shown
from tests.clis.test_talking import left_over

PLUGIN = CONFIGS / "claude-plugin"
EXTENSION = CONFIGS / "gemini-extension"

QUESTIONS = {
    "Who this agent is": "IPCBUS_AGENT",
    "Needless if there is only one": "IPCBUS_NETWORK",
    "Where ipcbus keeps its state": "IPCBUS_HOME",
}
"""What Gemini CLI asks when the extension is put in, and what it asks for."""


def test_claude_code_finds_no_fault_in_the_plugin(sit: Sit) -> None:
    seat = sit("claude", install=False)
    validate = [*seat.start, "plugin", "validate", str(PLUGIN), "--strict"]
    assert "passed" in run(validate, seat.env, seat.folder)


def test_the_plugin_shows_mail_and_has_the_tools(sit: Sit, bob: Client) -> None:
    seat = sit(
        "claude",
        Call("send", {"to": "bob", "text": "thanks"}),
        Say("Done."),
        install=False,
        prefix="mcp__plugin_ipcbus_ipcbus__",
    )
    bob.send("claude", MAIL)
    allowed = ("--allowedTools", "mcp__plugin_ipcbus_ipcbus")
    command = [*seat.start, "--plugin-dir", str(PLUGIN), *allowed, "--print", PROMPT]
    assert "Done." in run(command, seat.env, seat.folder)
    assert_shown(seat.model.requests[0].news)
    thanked(bob)
    assert left_over("claude") == []


def test_the_extension_shows_mail_and_has_the_tools(sit: Sit, bob: Client) -> None:
    seat = sit(
        "gemini",
        Call("send", {"to": "bob", "text": "thanks"}),
        Say("Done."),
        install=False,
    )
    link_extension(seat)
    bob.send("gemini", MAIL)
    assert "Done." in seat.ask(PROMPT)
    assert_shown(seat.model.requests[0].news)
    thanked(bob)
    assert left_over("gemini") == []


def link_extension(seat: Seat) -> None:
    """As a person does it, who answers the three questions of the installation."""
    extensions = [seat.start[0], "extensions"]
    run([*extensions, "validate", str(EXTENSION)], seat.env, seat.folder)
    link = [*extensions, "link", "--consent", str(EXTENSION)]
    with Terminal(link, env=seat.env, cwd=seat.folder) as terminal:
        for about, answer in QUESTIONS.items():
            terminal.wait_for(about)
            terminal.write(f"{seat.env.get(answer, '')}\r")
        assert terminal.ended() == 0, terminal.said


def thanked(bob: Client) -> None:
    (message,) = bob.receive(timeout=10.0)
    assert message.body == "thanks"
    message.ack()
