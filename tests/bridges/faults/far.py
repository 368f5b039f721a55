"""A neighbour in a process of its own, which may be on another host.

    python far.py NETWORK NAME PEER

It takes what comes all the time, and one order a line on stdin, as JSON: a name and
arguments. Each is answered by a line. It ends when stdin does.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.bridges.faults.neighbours import Neighbour
from tests.bridges.town import Home
from tests.faults.history import Acked, Got, Seen, Sent

PACE_S = 0.01
"""Seconds between two messages while it sends: about 100 a second."""

_ROWS: dict[str, type[Sent | Got | Acked]] = {"Sent": Sent, "Got": Got, "Acked": Acked}


class Far:
    """The near end of one."""

    def __init__(self, home: Home, network: str, name: str, peer: str) -> None:
        self.full = f"{name}@{network}"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = home.run(__file__, network, name, peer, **pipes)
        self.count()  # it is connected

    def ask(self, *order: object) -> Any:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"{self.full} has ended"
        return json.loads(line)

    def send(self, on: bool) -> None:
        """Begin to send all the time, or leave off."""
        self.ask("send", on)

    def count(self) -> int:
        """How many messages it has got."""
        return int(self.ask("count"))

    def accepted(self) -> set[str]:
        return set(self.ask("accepted"))

    def got(self) -> set[str]:
        return set(self.ask("got"))

    def sent(self) -> list[Sent]:
        return [Sent(*row) for _, *row in self.ask("sent")]

    def seen(self) -> list[Seen]:
        rows = [_ROWS[kind](*row) for kind, *row in self.ask("seen")]
        return [row for row in rows if not isinstance(row, Sent)]

    def close(self) -> None:
        self.process.communicate()


@contextlib.contextmanager
def far(home: Home, network: str, name: str, peer: str) -> Iterator[Far]:
    made = Far(home, network, name, peer)
    try:
        yield made
    finally:
        made.close()


# --- the process -----------------------------------------------------------------


def _answer(one: Neighbour, what: str) -> Any:
    match what:
        case "count":
            return len(one.got)
        case "accepted":
            return sorted(one.accepted())
        case "got":
            return sorted(one.got)
        case "sent" | "seen":
            rows = one.sent() if what == "sent" else one.seen()
            return [[type(row).__name__, *row] for row in rows]
        case _:
            return None


def _orders() -> SimpleQueue[list[Any]]:
    orders: SimpleQueue[list[Any]] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            orders.put(json.loads(line))
        orders.put([])

    threading.Thread(target=read, daemon=True).start()
    return orders


def main(network: str, name: str, peer: str) -> None:
    home = Home(Path(os.environ["IPCBUS_HOME"]))
    one, orders, sending = Neighbour(home, network, name, peer), _orders(), False
    while True:
        one.take(PACE_S)
        if sending:
            one.submit()
        with contextlib.suppress(Empty):
            order = orders.get_nowait()
            if not order:
                break
            what, *arguments = order
            if what == "send":
                (sending,) = arguments
            print(json.dumps(_answer(one, what)), flush=True)
    one.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
