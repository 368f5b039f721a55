"""Mail wakes an AI that sits idle, where its program can be woken at all.

Claude Code is woken by a hook that waits in the background, or by a monitor of our
plugin; Codex by its own queue. Gemini CLI has no such way.
"""

from __future__ import annotations

import json

from ipcbus import Client
from tests.clis.conftest import Sit
from tests.clis.processes import Process
from tests.clis.script import NOTHING_MORE, Say
from tests.clis.seats import CONFIGS, Seat
from tests.clis.terminal import Terminal

STREAMS = ("--input-format", "stream-json", "--output-format", "stream-json")
HELLO = {"type": "user", "message": {"role": "user", "content": "Hello."}}
RESULT = '"type":"result"'

MAIL = "the build is as green as a meadow"


def test_claude_code_is_woken_by_a_hook_that_waits(sit: Sit, bob: Client) -> None:
    seat = sit("claude", Say("I am idle now."))
    with Terminal([*seat.start, "Hello."], env=seat.env, cwd=seat.folder) as session:
        session.wait_for("I am idle now.")
        woken(seat, bob, "first mail")
        session.wait_for(NOTHING_MORE)
        woken(seat, bob, "second mail")


def test_claude_code_that_a_program_drives_is_woken_if_it_asks_for_it(
    sit: Sit, bob: Client
) -> None:
    """Without a person it waits for its hooks when its input ends: not by itself."""
    seat = sit("claude", Say("I am idle now."))
    env = {**seat.env, "IPCBUS_WAIT": "1"}
    command = [*seat.start, "--print", "--verbose", *STREAMS]
    with Process(command, env=env, cwd=seat.folder) as session:
        session.write(json.dumps(HELLO) + "\n")
        session.wait_for(RESULT)
        woken(seat, bob, "first mail")
        session.wait_for(RESULT, times=2)
        woken(seat, bob, "second mail")


def woken(seat: Seat, bob: Client, mail: str) -> None:
    """Mail that comes now reaches the model, though nobody says a word."""
    before = seat.model.count()
    bob.send(seat.name, mail)
    seat.model.wait_for(mail, after=before)


def test_claude_code_is_woken_by_the_monitor_of_our_plugin(
    sit: Sit, bob: Client
) -> None:
    seat = sit("claude", install=False)
    env = {**seat.env, "IPCBUS_NETWORK": "dev", "IPCBUS_AGENT": "claude"}
    del env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]  # it turns monitors off
    command = [*seat.start, "--plugin-dir", str(CONFIGS / "claude-plugin")]
    with Terminal(command, env=env, cwd=seat.folder) as session:
        session.wait_for("monitor")
        woken(seat, bob, MAIL)


def test_codex_is_woken_by_its_queue(sit: Sit, bob: Client) -> None:
    seat = sit("codex", Say("I am idle now."))
    with Terminal([*seat.start, "Hello."], env=seat.env, cwd=seat.folder) as session:
        session.wait_for("I am idle now.")
        woken(seat, bob, MAIL)
        session.wait_for(NOTHING_MORE)
