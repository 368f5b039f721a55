"""One walk through a random world, counted, and told in lines if it fails.

Two kinds of worlds take turns. Of each three seeds, two are of `World`: many networks,
rules that change, links that are doubled, and agents that speak to their broker
themselves. The third is of the test kit's `Simulation`: real clients, disks that fail
and lose power, brokers that die between any two actions.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

from ipcbus import links
from ipcbus.broker.events import Action, Event
from ipcbus.testing import Simulation
from ipcbus.testing.stage import Violated
from tests.bridges.wires import End, Net, Wire
from tests.bridges.world import World
from tests.sim.crossings import in_a_row

THINGS: Final = 100
"""Random things of a walk, if nobody says otherwise."""


class Failure(NamedTuple):
    """`kind`: what was wrong and where it was seen; the same for walks that fail by one
    and the same fault."""

    kind: str
    said: str


class Walk(NamedTuple):
    """Attributes:
    things: which were done, by number; those after a failure were not.
    events: that brokers and links have handled.
    """

    seed: int
    things: tuple[int, ...]
    story: list[str]
    events: int
    failure: Failure | None


def world_of(seed: int) -> World | Simulation:
    return Simulation(seed, in_a_row) if seed % 3 == 2 else World(seed)


def walk(seed: int, things: Sequence[int]) -> Walk:
    """Do some things of a world, and let it come to its end."""
    story = [f"seed {seed}"]
    done: list[int] = []
    failure = None
    world = None
    with counted() as events:
        try:
            world = world_of(seed)
            story[0] += f": {' '.join(world.nets)}"
            for n in things:
                done.append(n)
                story.append(f"{n} ...")  # it may be the one that fails
                story[-1] = world.do(n)
            story.append("the end")
            world.end()
            world.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a find
            failure = _failure(error)
    count = world.events if isinstance(world, Simulation) else events[0]
    return Walk(seed, tuple(done), story, count, failure)


def _failure(error: Exception) -> Failure:
    at = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(at.filename).name}:{at.lineno} {at.name}"
    words = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, Violated):
        return Failure(error.kind, words[:500])
    return Failure(f"{type(error).__name__} at {where}: {at.line}", words[:500])


@contextmanager
def counted() -> Iterator[list[int]]:
    """Its only item: events that cores of a `World` have handled meanwhile. A turn of a
    broker that only lets time pass is one too. A `Simulation` counts for itself."""
    count = [0]
    turn, told, tick = Net.turn, Wire.told, Wire.tick

    def turned(net: Net, *events: Event) -> list[Action]:
        count[0] += len(events) or 1
        return turn(net, *events)

    def heard(wire: Wire, end: End, event: links.End) -> None:
        count[0] += 1
        told(wire, end, event)

    def ticked(wire: Wire) -> None:
        count[0] += 1
        tick(wire)

    replaced: list[tuple[type, str, Callable[..., Any]]] = [
        (Net, "turn", turned),
        (Wire, "told", heard),
        (Wire, "tick", ticked),
    ]
    with ExitStack() as stack:
        for where, name, instead in replaced:
            stack.enter_context(mock.patch.object(where, name, instead))
        yield count
