"""Claude Code, Gemini CLI and Codex as agents of `ipcbus agent --adapter command`."""

from __future__ import annotations

import json
import subprocess

import pytest

from ipcbus import Client
from tests.clis.conftest import Sit
from tests.clis.processes import Process
from tests.clis.script import Say
from tests.clis.seats import IPCBUS, RUN_S, SEATS, Seat

QUESTION = "is the build green?"
ANSWER = "yes, as a meadow in May"


@pytest.fixture(params=SEATS)
def seat(request: pytest.FixtureRequest, sit: Sit) -> Seat:
    """A program without our tools and hooks, whose model says one thing."""
    name: str = request.param
    home = request.getfixturevalue("user_home")
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").touch()
    found: Seat = sit(name, Say(ANSWER), install=False)
    return found


def words(seat: Seat) -> list[str]:
    """The program, and the option with the key that only the settings name."""
    inherit = ["--option", "inherit=SCRIPT_KEY"]
    return [*inherit, "--option", f"cwd={seat.folder}", "--", *seat.once]


def test_it_answers_mail(seat: Seat, bob: Client) -> None:
    command = [*IPCBUS, "agent", "--adapter", "command", "--as", seat.name]
    with Process([*command, *words(seat)], env=seat.env) as agent:
        agent.wait_for(f"{seat.name} serves dev by command")
        answer = bob.ask(seat.name, QUESTION, timeout=RUN_S)
    assert (answer.sender, answer.body) == (seat.name, ANSWER)
    asked = seat.model.requests[-1].text
    assert f"You are {seat.name}, an agent on the network dev" in asked
    assert f"| {QUESTION}" in asked


def test_a_check_finds_that_it_works(seat: Seat) -> None:
    done = subprocess.run(
        [*IPCBUS, "adapters", "check", "command", "--json", *words(seat)],
        env=seat.env,
        capture_output=True,
        timeout=RUN_S,
        check=False,
    )

    program, folder, answer = json.loads(done.stdout)["findings"]
    assert done.returncode == 0
    assert program["text"].endswith(f"/{seat.name}")
    assert folder["text"] == f"in {seat.folder}, as {seat.name}"
    assert answer["text"].endswith(f" s: {ANSWER}")
