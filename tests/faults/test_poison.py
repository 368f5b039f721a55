"""A message that kills the process that reads it, each time: a real one, by SIGKILL.

It becomes a dead letter after `max_attempts`. What was sent ahead to the same process,
and never seen by it, comes back with it each time; that must not die as well.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

import ipcbus
from ipcbus.broker.settings import Settings
from ipcbus.networks import BrokerInfo

pytestmark = pytest.mark.chaos

READER = """
import os, signal, sys, ipcbus
with ipcbus.connect("dev", agent="bob", start=False) as bob:
    print("ready", flush=True)
    for message in bob:
        print(message.body, flush=True)
        if message.body == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        message.ack().result(10)
        if message.body == "end":
            break
"""
AROUND = 100
MAX_ATTEMPTS = Settings().max_attempts


def _reader() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", READER]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _reads() -> tuple[list[str], int]:
    """What a reader saw until it died or was told to end, and how it ended."""
    reader = _reader()
    try:
        out, _ = reader.communicate(timeout=60)
    finally:
        reader.kill()
    return out.splitlines()[1:], reader.returncode


def test_a_poisoned_message_dies_after_its_attempts_and_takes_no_other_along(
    broker: BrokerInfo, show: Callable[[str], None]
) -> None:
    with (
        ipcbus.connect("dev", agent="bob"),
        ipcbus.connect("dev", agent="alice") as alice,
    ):
        before = [f"before {n}" for n in range(AROUND)]
        after = [f"after {n}" for n in range(AROUND)]
        for body in before:
            alice.submit("bob", body)
        poison = alice.send("bob", "poison").id
        for body in (*after, "end"):
            alice.submit("bob", body).result(30)

        read: list[str] = []
        for _ in range(MAX_ATTEMPTS):
            found, code = _reads()
            assert (found.pop(), code) == ("poison", -signal.SIGKILL)
            read += found
        began = time.monotonic()
        found, code = _reads()
        took = time.monotonic() - began

        assert code == 0
        assert read + found == [*before, *after, "end"]
        (bounce,) = alice.receive(10, timeout=10)
        assert (bounce.kind, bounce.data["id"]) == ("bounce", poison)
        assert bounce.data["code"] == "given_up"
    with ipcbus.connect("dev", agent="") as operator:
        counters = operator.status()["counters"]
        (dead,), _ = operator.call("dead", 10, 0)[0]
        assert (dead[0], dead[1], dead[4]) == ("bob", "given_up", MAX_ATTEMPTS)
        assert counters["dead"] == 1
    show(
        f"{MAX_ATTEMPTS} readers died of it; {2 * AROUND + 1} others were read and "
        f"none lost; the {AROUND + 1} that came back with it took {took:.1f} s"
    )


def test_others_are_served_while_one_agent_dies_of_it(broker: BrokerInfo) -> None:
    with (
        ipcbus.connect("dev", agent="bob"),
        ipcbus.connect("dev", agent="carol") as carol,
        ipcbus.connect("dev", agent="alice") as alice,
    ):
        alice.send("bob", "poison")
        for round_ in range(MAX_ATTEMPTS):
            reader = _reader()
            sent = [alice.submit("carol", f"{round_} {n}") for n in range(50)]
            assert reader.stdout is not None
            with reader.stdout as out:
                assert out.read() == "ready\npoison\n"
            assert reader.wait(30) == -signal.SIGKILL
            assert {one.result(10).state for one in sent} == {"accepted"}
            got = [message.body for message in carol.receive(50, timeout=10)]
            while len(got) < 50:
                got += [message.body for message in carol.receive(50, timeout=10)]
            assert got == [f"{round_} {n}" for n in range(50)]
