"""Agents that answer everything they get, until they are told to end: child processes.

    answerer.py NETWORK NAME reply|send TO

With `reply` one answers who wrote to it, with `send` it writes something new to TO.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ipcbus
from ipcbus.errors import Refused

PROJECT = Path(__file__).parents[2]
BOUND_S = 30.0
USUAL = ("inform", "request", "reply")


class Answerer(NamedTuple):
    network: str
    name: str
    how: str
    to: str


@contextlib.contextmanager
def answering(*answerers: Answerer) -> Iterator[None]:
    """All of them, as processes that end with it."""
    with contextlib.ExitStack() as started:
        for answerer in answerers:
            started.enter_context(_process(answerer))
        yield


@contextlib.contextmanager
def _process(answerer: Answerer) -> Iterator[None]:
    command = [sys.executable, __file__, *answerer]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=BOUND_S)


def main(network: str, name: str, how: str, to: str) -> None:
    with ipcbus.connect(network, agent=name, timeout=BOUND_S) as client:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print("ready", flush=True)
        for number, message in enumerate(client):
            message.ack()
            if message.kind not in USUAL or message.sender == name:
                continue
            try:
                if how == "reply":
                    message.reply(f"{name} says {number}")
                else:
                    client.send(to, f"{name} says {number}")
            except Refused as error:
                print(error, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
