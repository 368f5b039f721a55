"""Who plays, and what they do in more than one scene."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ipcbus import networks
from ipcbus.client.connect import connect
from ipcbus.client.message import Message
from ipcbus.client.sync import Client
from ipcbus.doors.demo.bridge import Bridge
from ipcbus.doors.demo.story import Shell, Story
from ipcbus.errors import TimedOut

WAIT_S: Final = 20.0
"""How long anything here may take."""

LOOK_S: Final = 0.001


class Cast(NamedTuple):
    """Who is on the stage: all but dana in network dev, and dana in prod."""

    alice: Client
    bob: Shell
    carol: Client
    dana: Shell
    bridge: Bridge


class Read(NamedTuple):
    """A numbered message as its reader got it."""

    number: int
    attempt: int


def read_burst(reader: Client, count: int, read: list[Read]) -> None:
    """All as they come, each acked; until every number has come."""
    seen: set[int] = set()
    deadline = time.monotonic() + WAIT_S
    while len(seen) < count:
        left = max(0.0, deadline - time.monotonic())
        messages = reader.receive(max=256, timeout=left)
        if not messages:
            break
        for message in messages:
            taken = take(message)
            read += taken
            seen.update(one.number for one in taken)
            message.ack()
    reader.flush(WAIT_S)


def take(message: Message) -> list[Read]:
    return [Read(int(message.body), message.attempt)]


def arrived(read: Sequence[Read]) -> list[int]:
    """The numbers in the order in which each came first."""
    return list(dict.fromkeys(one.number for one in read))


def stored(read: Sequence[Read]) -> list[int]:
    """The numbers as they lay in the mailbox: what came for the first time."""
    return [one.number for one in read if one.attempt == 1]


def kill_broker(story: Story, network: str) -> None:
    info = networks.find(network).broker_info()
    assert info is not None
    assert info.is_alive(), "it is the broker, not a pid that was used again"
    os.kill(info.pid, signal.SIGKILL)
    story.tell("", f"kill -9 {info.pid}, the broker of {network}")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, looking often: what is killed then is in the middle."""
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimedOut(what=what, seconds=WAIT_S)
        time.sleep(LOOK_S)


def status(network: str) -> dict[str, Any]:
    """What the broker tells its operator."""
    with connect(network, agent="") as operator:
        return dict(operator.status())


def count(network: str, *names: str) -> int:
    """Some of its counters, added up."""
    counters = status(network)["counters"]
    return sum(counters.get(name, 0) for name in names)
