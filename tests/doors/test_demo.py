"""The demo proves what it says, and would say so if it did not hold."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from ipcbus.doors.demo.scenes import SCENES
from ipcbus.doors.demo.story import Story

ROOT = Path(__file__).parents[2]

BOUND_S = 60.0


class Played(NamedTuple):
    """How a demo ended, and what it said."""

    code: int
    out: str
    seconds: float

    def held(self) -> dict[str, bool]:
        """Each claim of the list at the end."""
        found = re.findall(r"^  (yes|NO ) {2}(.*?): ", self.out, re.MULTILINE)
        return {claim: mark == "yes" for mark, claim in found}

    def did_not_hold(self) -> list[str]:
        return [claim for claim, held in self.held().items() if not held]


def play(folder: Path, sabotage: str = "", scenes: str = "stage.SCENES") -> Played:
    """Run the demo in a process of its own, after some lines that spoil it."""
    rooms = "across, agents, bridge, cast, scenes, stage"
    imports = f"import sys\nfrom ipcbus.doors.demo import {rooms}"
    program = f"{imports}\n{sabotage}\nsys.exit(stage.main({scenes}))"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BOUND_S,
        check=False,
    )
    left = [path.name for path in folder.iterdir()] + _processes(folder)
    assert not left, f"the demo left {left} behind"
    seconds = time.monotonic() - began
    return Played(done.returncode, done.stdout.decode(), seconds)


def test_it_proves_all_that_it_claims(tmp_path: Path) -> None:
    played = play(tmp_path)

    assert played.code == 0, played.out
    assert played.seconds < BOUND_S
    assert set(played.held().values()) == {True}
    assert set(played.held()) == {
        "a key of one network opens no other",
        "nobody of dev is seen in prod",
        "an unknown name is refused",
        "mail waits for a name that registers later",
        "a reply finds its question",
        "a broadcast reaches all but its sender",
        "a client took the network over",
        "no message was lost",
        "none was stored twice",
        "order was kept",
        "a question crosses a bridge, and so does its answer",
        "a foreign sender is shown in full",
        "what a rule forbids is bounced and does not cross",
        "agents of two networks work together over the bridge",
        "two that thank each other without end are stopped by a limit",
        "nothing was lost on the way to the other network",
        "nothing crossed twice",
        "order was kept across the bridge",
        "what was accepted is what ended and what waits",
        "nothing is left behind",
    }
    assert "\x1b" not in played.out, "colour is for terminals"
    for victim in ("the broker of dev", "the broker of prod", "the bridge"):
        assert re.search(rf"kill -9 \d+, {victim}\n", played.out), victim


def _processes(folder: Path) -> list[str]:
    """Brokers and bridges of a demo whose home is in `folder` that still run."""
    return [
        process.name
        for process in Path("/proc").glob("[0-9]*")
        if bytes(folder) in _read(process / "environ")
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended, or is of another user
        return b""


SABOTAGE = {
    "a lost message": (
        "cast.WAIT_S = 5.0\n"
        "take = cast.take\n"
        "cast.take = lambda one: [] if one.body == '1234' else take(one)",
        "[scenes.takeover, scenes.outage]",
        ["no message was lost", "nothing was lost on the way to the other network"],
    ),
    "a message stored twice": (
        "take = cast.take\n"
        "cast.take = lambda one: take(one) * (2 if one.body == '1234' else 1)",
        "[scenes.takeover, scenes.outage]",
        ["none was stored twice", "nothing crossed twice"],
    ),
    "two messages that changed places": (
        "take, swap = cast.take, {'1233': '1234', '1234': '1233'}\n"
        "cast.take = lambda one: [cast.Read(int(swap.get(one.body, one.body)), 2)]",
        "[scenes.takeover, scenes.outage]",
        ["order was kept", "order was kept across the bridge"],
    ),
    "a door that lets everybody in": (
        # What knocks at prod is sent to dev, whose key it has.
        "find = scenes.networks.find\n"
        "scenes.networks.find = lambda name: find('dev' if name == 'prod' else name)",
        "[scenes.isolation]",
        ["a key of one network opens no other", "nobody of dev is seen in prod"],
    ),
    "a bridge that carries what it should not": (
        "across.WAIT_S = 5.0\nbridge.RULE = 'nobody@dev -> *@prod'",
        "[scenes.ask_across, scenes.forbidden]",
        ["what a rule forbids is bounced and does not cross"],
    ),
    "an agent that knows no limit": (
        "agents.LIMIT = 'turns_per_thread=3'",
        "[scenes.two_agents]",
        ["two that thank each other without end are stopped by a limit"],
    ),
    "a scene that breaks off": (
        "def broken(story, cast):\n    raise stage.IpcbusError(reason='it broke')",
        "[broken]",
        ["the demo ran to its end"],
    ),
}
"""What is spoilt: how, in which scenes, and the claims that then must not hold."""


QUICK = "a message stored twice", "a door that lets everybody in"
"""The others are waited for in vain, each for seconds."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in SABOTAGE
    ],
)
def test_it_fails_when_something_does_not_hold(name: str, tmp_path: Path) -> None:
    sabotage, scenes, claims = SABOTAGE[name]
    played = play(tmp_path, sabotage, scenes)

    assert played.code == 1, played.out
    assert played.did_not_hold() == claims, played.out
    assert "THIS DID NOT HOLD" in played.out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_has_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    for out in (terminal, pipe):
        story = Story(out)
        story.prove("it holds", held=True, counts="1 of 1")
        assert story.close() == 0
    assert "\x1b[32myes\x1b[0m" in terminal.getvalue()
    assert "\x1b" not in pipe.getvalue()

    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    Story(plain).title("hello")
    assert "\x1b" not in plain.getvalue()


def test_a_demo_that_proved_nothing_has_failed() -> None:
    assert SCENES
    assert Story(io.StringIO()).close() == 1
