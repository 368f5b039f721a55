"""A test kit: a whole bus in one thread, with no socket, no process and no waiting.

    clock = FakeClock()
    bus = MemoryBroker(clock)
    alice = MemoryLink(bus, "alice")
    bob = MemoryLink(bus, "bob")
    sending = alice.submit("bob", "hello")
    bob.read()
    bus.settle_down()
    assert sending.done() and bob.take()[0].body == "hello"

The broker is the real core over the store in memory, the client the real tracker: what
is put in their place is the link between them. It behaves as a TCP connection can: what
is said is **delayed** until somebody lets it through, what is under way when it is cut
is **dropped** from any point on, and a client that comes back **repeats** what was not
answered. `MemoryBroker.takeover` is a broker that was killed and replaced.

Beside it:

    disk        a store that fails as disks do: I/O errors, no room, power cuts
    history     a checker of what clients saw: lost, made up, stored twice, disordered
    simulator   seeded walks of networks in which all of this happens at random
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipcbus.testing.broker import MemoryBroker
    from ipcbus.testing.clock import START_MS, FakeClock
    from ipcbus.testing.disk import FakeDisk, Fault
    from ipcbus.testing.history import History
    from ipcbus.testing.link import MemoryLink
    from ipcbus.testing.simulator import Simulation

_WHERE = {
    "START_MS": "clock",
    "FakeClock": "clock",
    "FakeDisk": "disk",
    "Fault": "disk",
    "History": "history",
    "MemoryBroker": "broker",
    "MemoryLink": "link",
    "Simulation": "simulator",
}
"""Loaded when they are first used: the checker of histories costs no broker."""

__all__ = [
    "START_MS",
    "FakeClock",
    "FakeDisk",
    "Fault",
    "History",
    "MemoryBroker",
    "MemoryLink",
    "Simulation",
]


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{where}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
