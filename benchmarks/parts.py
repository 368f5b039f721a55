"""What each part of the path costs: `python -m benchmarks.parts [--batch N]`.

One process, no socket and nobody who waits: the real client's core, codec, broker's
core and store, called one after the other with batches of plain messages. Prints
microseconds of processor for each message and part, medians of the rounds. The commit
is shown as waited for, because most of it is the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.figures import figure, table
from ipcbus.broker.events import Action, Event, Hand, Now, Received, Say
from ipcbus.broker.settings import Settings
from ipcbus.broker.state import Broker
from ipcbus.client.compose import plain
from ipcbus.client.ids import Ids
from ipcbus.client.message import BaseMessage, Message, Settlement
from ipcbus.client.tracker import Tracker
from ipcbus.protocol.calls import Role
from ipcbus.protocol.codec import Frames, decode_client, encode
from ipcbus.store.base import Store
from ipcbus.store.records import Agent, AgentKey
from ipcbus.store.sqlite import SqliteStore
from ipcbus.transport.outbox import parcels

BODY = b"b" * 256
NAMES = ("sender", "receiver")

PARTS = (
    "client: compose",
    "client: pack",
    "broker: unpack sends",
    "broker: decide on sends",
    "store: add",
    "store: commit",
    "broker: pack deliveries",
    "client: unpack deliveries",
    "client: take and ack",
    "client: pack acks",
    "broker: unpack acks",
    "broker: decide on acks",
    "store: remove",
    "client: receipts",
)


class Stopwatch:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._inner = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time spent here, less what parts within it have taken."""
        outer, self._inner = self._inner, 0.0
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.seconds[name] += took - self._inner
            self._inner = outer + took

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return call(*args, **kwargs)

        return timed


class End:
    """One client without a socket."""

    network = "bench"
    clock_ms = 0.0

    def __init__(self, number: int) -> None:
        self.peer = bytes([0, 0, 0, 0, number])
        self.key = f"{number:064x}"
        make: Callable[..., BaseMessage] = partial(Message, self)  # type: ignore[arg-type]
        self.tracker = Tracker(make, prefetch=4096)
        self.ids = Ids()

    def settle(self, settlement: Settlement) -> Settlement:
        self.tracker.settling.waiting.append(settlement)
        return settlement


class Path1:
    """The whole path of one pair."""

    def __init__(self, store: Store, watch: Stopwatch) -> None:
        self._store = store
        self._watch = watch
        snapshot = store.open()
        store.begin()
        self.ends = [End(number) for number in (1, 2)]
        for number, (name, end) in enumerate(zip(NAMES, self.ends, strict=True), 1):
            agent = Agent(number, name, 1, 0, 0, 0, 0)
            key = AgentKey(end.key, number, Role.AGENT.value, 0, 0, 0)
            store.registry.put_agent(agent)
            store.registry.put_key(key)
            snapshot.agents.append(agent)
            snapshot.keys.append(key)
        store.commit()
        self.core = Broker("bench", Settings(), store, snapshot)
        for end in self.ends:
            end.tracker.opened(0.0)
            self.exchange(end)
        self.ends[1].tracker.intake.want(60_000)
        self.exchange(self.ends[1])
        self._time(store.mail, "add", "store: add")
        self._time(store.mail, "remove_runs", "store: remove")

    def _time(self, part: Any, method: str, name: str) -> None:
        setattr(part, method, self._watch.timed(name, getattr(part, method)))

    def exchange(self, end: End) -> None:
        """Say all, untimed, and hear what is said to that."""
        for frames in list(end.tracker.say()):
            for action in self.turn([self.event(end, frames)]):
                self.hear(action)

    def event(self, end: End, frames: Frames) -> Event:
        return Received(end.peer, end.key, decode_client(*frames))

    def turn(self, events: Sequence[Event]) -> list[Action]:
        self._store.begin()
        actions = self.core.handle(events, Now(1.0, 1_800_000_000_000))
        self._store.commit()
        return actions

    def hear(self, action: Action) -> None:
        by_peer = {end.peer: end for end in self.ends}
        if isinstance(action, Hand):
            for frames in parcels(action):
                by_peer[action.peer].tracker.heard(*frames, 1.0)
        elif isinstance(action, Say):
            end = by_peer[action.peer]
            end.tracker.heard(*encode(action.message), 1.0)

    def round(self, count: int) -> None:
        """`count` messages there, their acks back."""
        sender, receiver = self.ends
        part = self._watch.part
        with part("client: compose"):
            for _ in range(count):
                made = plain("receiver", BODY, sender.ids.fresh)
                sender.tracker.outbox.waiting.append(made)
        with part("client: pack"):
            said = list(sender.tracker.say())
        with part("broker: unpack sends"):
            events = [self.event(sender, frames) for frames in said]
        actions = self._timed_turn(events, "broker: decide on sends")
        with part("broker: pack deliveries"):
            parcelled = [list(parcels(a)) for a in actions if isinstance(a, Hand)]
        with part("client: unpack deliveries"):
            for frames in chain(*parcelled):
                receiver.tracker.heard(*frames, 1.0)
        with part("client: take and ack"):
            taken = 0
            while found := receiver.tracker.intake.take_one(1.0):
                found.ack()
                taken += 1
        assert taken == count
        with part("client: pack acks"):
            said = list(receiver.tracker.say())
        with part("broker: unpack acks"):
            events = [self.event(receiver, frames) for frames in said]
        settled = self._timed_turn(events, "broker: decide on acks")
        with part("client: receipts"):
            for action in (*actions, *settled):
                if isinstance(action, Say):
                    self.hear(action)

    def _timed_turn(self, events: list[Event], name: str) -> list[Action]:
        self._store.begin()
        with self._watch.part(name):
            actions = self.core.handle(events, Now(1.0, 1_800_000_000_000))
        with self._watch.part("store: commit"):
            self._store.commit()
        return actions


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        watch = Stopwatch()
        store = SqliteStore(Path(folder) / "db", network="bench", ballast=None)
        path = Path1(store, watch)
        rounds: list[dict[str, float]] = []
        for _ in range(options.rounds):
            watch.seconds = dict.fromkeys(PARTS, 0.0)
            path.round(options.batch)
            rounds.append(watch.seconds)
        store.close()
    _print(rounds, options.batch)


def _print(rounds: list[dict[str, float]], batch: int) -> None:
    rows = []
    for name in PARTS:
        micros = figure([one[name] / batch * 1e6 for one in rounds])
        rows.append([name, f"{micros.median:.2f}", f"{micros.low:.2f}"])
    for who in ("client", "broker", "store"):
        chosen = [name for name in PARTS if name.startswith(who)]
        sums = [sum(one[name] for name in chosen) / batch * 1e6 for one in rounds]
        rows.append([f"{who}, all", f"{figure(sums).median:.2f}", f"{min(sums):.2f}"])
    print(table(("part", "us a message", "least"), rows))


if __name__ == "__main__":
    main()
