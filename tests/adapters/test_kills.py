"""An agent is killed at every step of a turn: one answer, one message, no more."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import ipcbus
from tests.adapters.doomed import STEPS
from tests.examples import ROOT


def run(step: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "tests.adapters.doomed", step],
        cwd=ROOT,
        timeout=60,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    return done.returncode


@pytest.mark.chaos
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_agent_answers_once(alice: ipcbus.Client, step: str) -> None:
    with ipcbus.connect("dev", agent="bob") as bob:
        asked = alice.send("llama", "Say hi to bob.", kind="request")

        assert run(step) == -signal.SIGKILL
        if step != "acked":
            assert run("") == 0

        [answer] = alice.receive(5, timeout=20)
        assert answer.reply_to == asked.id
        assert answer.body == "Told bob."
        assert [each.body for each in bob.receive(5, timeout=20)] == ["alice says hi"]
        assert alice.receive(5, timeout=0.2) == []
        assert bob.receive(5, timeout=0.2) == []
