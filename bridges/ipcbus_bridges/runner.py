"""The process of a bridge: rules, two links, signals, and rules again when they change.

    SIGTERM, SIGINT   end
    SIGHUP            read the rules again; so does `ipcbus bridges reload`, and so does
                      a change of the file, which is looked at once a second

Rules that cannot be read leave the old ones in force; the status of both links and a
line on stdout say so.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import ipcbus
from ipcbus_bridges import rulefile
from ipcbus_bridges.ends import End, NetworkEnd
from ipcbus_bridges.foreign import find_end
from ipcbus_bridges.keeping import KeptLink
from ipcbus_bridges.linkrunner import LinkRunner, Say
from ipcbus_bridges.rules import Rules
from ipcbus_bridges.wording import told

WATCH_S: Final = 1.0
"""Between two looks at the file of the rules."""

MOST_SAID: Final = 32 * 1024
TEXT_BYTES: Final = 5
"""Bytes of the rules of the command line in a report, of which a broker takes 64 KiB;
and what a text takes beside its letters."""

GOODBYE_S: Final = 2.0
"""For the links to end in order."""

Stamp = tuple[int, int, int] | None


class Bridge:
    """Two links, or one, between two networks.

    Args:
        a, b: names of networks, or of foreign ones as `scheme:rest`.
        path, allow, deny: the rules: a file, and short forms.
        start: a network of this machine that has no broker gets one.
        say: told a line for people.
    """

    def __init__(
        self,
        a: str,
        b: str,
        path: Path | None,
        allow: Sequence[str],
        deny: Sequence[str],
        *,
        one_way: bool,
        start: bool,
        say: Say,
    ) -> None:
        self._start = start
        self._makers = {name: find_end(name) for name in (a, b)}
        self._a, self._b = self._name(a), self._name(b)
        self._given = {self._a: a, self._b: b}
        self._path, self._allow, self._deny = path, list(allow), list(deny)
        self._say = _in_turn(say)
        self._stamp = self._look()
        self.rules = self._read()
        ways = [(self._a, self._b), (self._b, self._a)]
        self.links = [self._link(*way) for way in (ways[:1] if one_way else ways)]
        self._reading = threading.Lock()

    def start(self) -> None:
        for line in self.says():
            self._say(line)
        for link in self.links:
            link.start()

    def stop(self) -> None:
        for link in self.links:
            link.stop()
        end = time.monotonic() + GOODBYE_S
        for link in self.links:
            link.join(max(0.0, end - time.monotonic()))

    def says(self) -> list[str]:
        """What it will and will not carry."""
        return [
            line
            for link in self.links
            for line in self.rules.link(link.source, link.destination).says()
        ]

    def watch(self) -> None:
        """Read the rules again if their file has changed."""
        stamp = self._look()
        if stamp is not None and stamp != self._stamp:
            self.reload()

    def reload(self) -> bool:
        """Read the rules again; whether they are in force."""
        with self._reading:
            self._stamp = self._look()
            try:
                rules = self._read()
            except ipcbus.errors.ConfigError as error:
                self._say(f"the rules were not changed: {told(str(error))}")
                for link in self.links:
                    link.config_error(str(error))
                return False
            changed = rules.revision != self.rules.revision
            self.rules = rules
            for link in self.links:
                way = rules.link(link.source, link.destination)
                link.reload(way, rules.terms, self._said(rules))
            self._say(
                f"rules {rules.revision} {'are in force' if changed else 'again'}"
            )
            return True

    # --- within ------------------------------------------------------------------

    def _name(self, given: str) -> str:
        return given.partition(":")[0]

    def _link(self, source: str, destination: str) -> KeptLink:
        def make() -> LinkRunner:
            rules = self.rules
            return LinkRunner(
                self._end(source, destination, outward=True),
                self._end(destination, source, outward=False),
                rules.link(source, destination),
                rules.terms,
                self._say,
                self.reload,
                self._said(rules),
            )

        return KeptLink(source, destination, make, self._say)

    def _end(self, network: str, peer: str, *, outward: bool) -> End:
        given = self._given[network]
        make = self._makers[given]
        if make is not None:
            return make(given, peer)
        return NetworkEnd(network, peer, outward=outward, start=self._start)

    def _read(self) -> Rules:
        return rulefile.build(self._allow, self._deny, self._path, self._a, self._b)

    def _said(self, rules: Rules) -> dict[str, Any]:
        """For reports, which are bounded: of very many rules not all are told."""
        deny, left = _as_many(self._deny, MOST_SAID)
        allow, _ = _as_many(self._allow, left)
        untold = len(self._allow) + len(self._deny) - len(allow) - len(deny)
        return {
            "file": str(self._path.absolute()) if self._path else None,
            "allow": allow,
            "deny": deny,
            **({"untold": untold} if untold else {}),
        }

    def _look(self) -> Stamp:
        """When the file of the rules was changed last."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except (OSError, ValueError):  # what is wrong with it is told when it is read
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def run(
    a: str,
    b: str,
    *,
    rules: Path | None = None,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    one_way: bool = False,
    start: bool = True,
    say: Say = print,
) -> int:
    """Bridge two networks until a signal ends it. Call it from the main thread.

    Raises `ConfigError` for rules that cannot be read, and what keeps an end from being
    one at all: `NoNetwork`, `InvalidAddress`.
    """
    woken, told = threading.Event(), {"stop": False, "reload": False}

    def on_signal(number: int, frame: object) -> None:
        told["reload" if number == signal.SIGHUP else "stop"] = True
        woken.set()

    bridge = Bridge(a, b, rules, allow, deny, one_way=one_way, start=start, say=say)
    before = {n: signal.signal(n, on_signal) for n in _SIGNALS}
    try:
        bridge.start()
        while not told["stop"]:
            woken.wait(WATCH_S)
            woken.clear()
            if told["reload"]:
                told["reload"] = False
                bridge.reload()
            else:
                bridge.watch()
    finally:
        bridge.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _as_many(texts: Sequence[str], room: int) -> tuple[list[str], int]:
    """The first of `texts` that go into `room` bytes; what is left of it. Once one
    does not, none of the others is told."""
    fitting: list[str] = []
    for text in texts:
        room -= len(text.encode()) + TEXT_BYTES
        if room < 0:
            return fitting, 0
        fitting.append(text)
    return fitting, room


def _in_turn(say: Say) -> Say:
    """`say` for several threads, whose lines must not run into each other."""
    lock = threading.Lock()

    def one_at_a_time(line: str) -> None:
        with lock:
            say(line)

    return one_at_a_time


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
