"""Bridges and brokers that kill themselves at a step of the handoff.

    python failpoints.py bridge TRIGGER A B
    python failpoints.py broker TRIGGER NETWORK

They work as ever until the file TRIGGER is there. It says where to die:
`step|which|count`, with the step of a table below, which of the links or what network
is meant, and how many times it is passed before.

    bridge   leased          mail was leased to it; nothing has been done with it
             before handing  XFER is decided and not said
             after handing   XFER is said, and may have arrived or not
             told            the verdicts are there, the source does not know them
             after settling  RETURN is said, and may have arrived or not
             settled         the source has said that it is committed
    broker   before taking   a commit that holds an XFER does not happen
             after taking    it has happened, and nobody is told
             before settling, after settling   the same of a RETURN
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BRIDGE_STEPS = (
    "leased",
    "before handing",
    "after handing",
    "told",
    "after settling",
    "settled",
)
BROKER_STEPS = (
    "before taking",
    "after taking",
    "before settling",
    "after settling",
)

MOST_S = 0.005
"""What was given to the socket leaves within about this time: death comes before or
after it."""


class Failpoint:
    def __init__(self, trigger: str) -> None:
        self._trigger = Path(trigger)
        self._passed = 0

    def is_here(self, step: str, which: str) -> bool:
        """Whether this is where to die."""
        try:
            wanted = self._trigger.read_text().split("|")
        except FileNotFoundError:
            return False
        if wanted[:2] != [step, which]:
            return False
        self._passed += 1
        return self._passed > int(wanted[2])

    def pass_by(self, step: str, which: str, *, soon: bool = False) -> None:
        if self.is_here(step, which):
            if soon:
                threading.Timer(random.uniform(0, MOST_S), die).start()
            else:
                die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # not one instruction more


def arm(trigger: Path, step: str, which: str, count: int = 0) -> None:
    """Have whoever watches `trigger` die there."""
    ready = trigger.with_suffix(".new")
    ready.write_text(f"{step}|{which}|{count}")
    ready.rename(trigger)


# --- the processes ---------------------------------------------------------------


def bridge(trigger: str, a: str, b: str) -> int:
    from ipcbus import links
    from ipcbus.client.link_tracker import LinkTracker
    from ipcbus.protocol.messages import Return, Xfer
    from ipcbus_bridges.actions import HandOver
    from ipcbus_bridges.linkrunner import LinkRunner
    from ipcbus_bridges.runner import run

    point = Failpoint(trigger)
    told, do, speak = LinkRunner._told, LinkRunner._do, LinkTracker._speak
    other = {a: b, b: a}

    def dying_told(self: LinkRunner, network: str, event: links.End) -> None:
        steps = {links.Delivered: "leased", links.Verdicts: "told"}
        step = steps.get(type(event), "")
        if isinstance(event, links.Taken) and network == self.source:
            step = "settled"
        point.pass_by(step, self.way)
        told(self, network, event)

    def dying_do(self: LinkRunner, action: Any) -> None:
        if isinstance(action, HandOver):
            point.pass_by("before handing", self.way)
        do(self, action)

    def dying_speak(self: LinkTracker, most: int | None) -> Iterator[Any]:
        said = [type(one) for one in self.waiting]
        yield from speak(self, most)
        here = self.calling.network
        if Xfer in said:
            point.pass_by("after handing", f"{other[here]} -> {here}", soon=True)
        if Return in said:
            point.pass_by("after settling", f"{here} -> {other[here]}", soon=True)

    LinkRunner._told = dying_told  # type: ignore[method-assign]
    LinkRunner._do = dying_do  # type: ignore[method-assign]
    LinkTracker._speak = dying_speak  # type: ignore[method-assign, assignment]
    return run(a, b)


def broker(trigger: str, network: str) -> int:
    from ipcbus.broker.crossing import Crossing
    from ipcbus.broker.returns import Returns
    from ipcbus.store.sqlite import SqliteStore
    from ipcbus.transport import serve

    point = Failpoint(trigger)
    transfer, take = Crossing.transfer, Returns.take
    commit = SqliteStore.commit
    held: set[str] = set()

    def noted_transfer(self: Crossing, *args: Any) -> None:
        held.add("taking")
        transfer(self, *args)

    def noted_take(self: Returns, *args: Any) -> None:
        held.add("settling")
        take(self, *args)

    def dying_commit(self: SqliteStore) -> None:
        for what in held:
            point.pass_by(f"before {what}", network)
        commit(self)
        for what in held:
            point.pass_by(f"after {what}", network)
        held.clear()

    Crossing.transfer = noted_transfer  # type: ignore[method-assign, assignment]
    Returns.take = noted_take  # type: ignore[method-assign, assignment]
    SqliteStore.commit = dying_commit  # type: ignore[method-assign]
    return serve.main([network])


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    sys.exit(bridge(*arguments) if role == "bridge" else broker(*arguments))
