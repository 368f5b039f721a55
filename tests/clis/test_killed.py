"""A program that is killed when its model has got mail has not acked it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import ipcbus
from ipcbus import Client
from tests.clis.conftest import Sit, living
from tests.clis.script import Call, Say
from tests.clis.seats import SEATS, Seat, run
from tests.clis.terminal import Terminal

PROMPT = "Go on with your work."
MAIL = "the build is as green as a meadow"


@pytest.mark.parametrize("name", SEATS)
def test_what_a_hook_showed_is_not_acked_if_all_is_killed(
    name: str, sit: Sit, bob: Client
) -> None:
    """It comes again when its lease is over."""
    seat = sit(name, Say("Fine."))
    bob.send(name, MAIL)
    run_until_shown(seat)
    assert_kept(name)


@pytest.mark.parametrize("name", SEATS)
def test_what_was_shown_at_the_end_of_a_turn_is_not_acked_if_all_is_killed(
    name: str, sit: Sit, bob: Client
) -> None:
    seat = sit(name, Say("Fine."))
    seat.model.when(PROMPT, lambda: bob.send(name, MAIL))
    run_until_shown(seat)
    assert_kept(name)


def test_what_woke_a_program_is_not_acked_if_all_is_killed(
    sit: Sit, bob: Client
) -> None:
    seat = sit("claude", Say("I am idle now."))
    seat.model.when(MAIL, lambda: kill_all(seat.home))
    with Terminal([*seat.start, "Hello."], env=seat.env, cwd=seat.folder) as session:
        session.wait_for("I am idle now.")
        bob.send("claude", MAIL)
        assert session.ended() == -signal.SIGKILL
    assert_kept("claude")


@pytest.mark.parametrize("name", SEATS)
def test_what_a_tool_showed_comes_again_if_all_is_killed(
    name: str, sit: Sit, bob: Client
) -> None:
    """The hooks are off: the model looks by itself."""
    seat = sit(name, Call("inbox", {}), Say("Fine."))
    bob.send(name, MAIL)
    run_until_shown(seat._replace(env=seat.env | {"IPCBUS_HOOKS": "off"}))
    assert_kept(name)
    with ipcbus.connect("dev", agent=name) as client:
        (message,) = client.receive(timeout=30.0)
        assert (message.body, message.attempt) == (MAIL, 2)
        message.ack()


def run_until_shown(seat: Seat) -> None:
    """Its model has got the mail, and says nothing any more."""
    seat.model.when(MAIL, lambda: kill_all(seat.home))
    command = [*seat.once, PROMPT]
    run(command, seat.env, seat.folder, code=-signal.SIGKILL)


def kill_all(home: Path) -> None:
    """The program, our hooks and our server, each by its own pid."""
    for pid in living(home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def assert_kept(name: str) -> None:
    """It was given once, and nobody has said that it was read."""
    with ipcbus.connect("dev", agent="") as operator:
        status: dict[str, Any] = operator.status()
    box, counters = status["mailboxes"][name], status["counters"]
    assert (box["waiting"] + box["leased"], counters["delivered"]) == (1, 1), counters
    assert "acked" not in counters
