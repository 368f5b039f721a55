"""`python -m tests.chaos`: break real processes for some minutes, and count the losses.

    --minutes 10     all faults in turn, in an order that the seed gives
    --only eio       one of them alone
    --kills 1000     the kill record instead: the broker is killed so often
    --seed 7         the same order and amounts again

Exit code 1 if a promise was broken: then the seed, the ids and the steps are told.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.chaos import ground, kills, phases
from tests.chaos.faults import FAULTS, World
from tests.chaos.fleet import Size
from tests.chaos.phases import Phase

FLEET: Final = Size(senders=6, receivers=5, rate=50.0)
"""Any of the eleven can start the next broker. Rate: messages a second of a sender."""

MOST: Final = 20
"""Lines that are told of what broke."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--only", choices=sorted(FAULTS))
    parser.add_argument("--kills", type=int, default=0)
    return parser.parse_args()


@contextmanager
def place() -> Iterator[tuple[Path, Path]]:
    """A home and a folder for what is written down; the first has a short path."""
    home, scratch = (Path(tempfile.mkdtemp(prefix="ib-", dir="/tmp")) for _ in "12")
    os.environ["IPCBUS_HOME"] = str(home)
    try:
        yield home, scratch
    finally:
        for folder in (home, scratch):
            shutil.rmtree(folder)


def interrupted(number: int, frame: object) -> None:
    """End all that was started, once, however often somebody presses Ctrl-C."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def say(text: str) -> None:
    print(text, flush=True)


def faults(world: World, given: argparse.Namespace) -> Iterator[Phase]:
    names = [given.only] if given.only else list(FAULTS)
    say(phases.HEAD)
    for phase in phases.schedule(world, names, given.minutes):
        say(phases.line(phase))
        yield phase


def kill_record(world: World, given: argparse.Namespace) -> Iterator[Phase]:
    record = kills.Record([], [], [])
    for phase in kills.kill(world, given.kills, record):
        say("\n".join(record.lines()))
        yield phase


def run(given: argparse.Namespace, found: list[Phase]) -> list[str]:
    """Work until the end or the first broken promise; the broken ones. Not to get
    well again is one too."""
    work = kill_record if given.kills else faults
    small = not given.kills  # the record is made on a real disk
    with (
        place() as (home, scratch),
        ground.world(home, scratch, given.seed, FLEET, small=small) as world,
    ):
        try:
            for phase in work(world, given):
                found.append(phase)
                if phase.broken:
                    return phase.broken
        except AssertionError as error:
            log = world.network.log.read_text().splitlines()[-MOST:]
            return [f"it did not get well: {error}", *log]
    return []


def main() -> int:
    given = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    say(f"seed {given.seed}")
    found: list[Phase] = []
    try:
        broken = run(given, found)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    if not given.kills:
        say("\nin all\n" + phases.HEAD)
        for row in phases.total(found):
            say(phases.line(row))
    if not broken:
        say("every promise was kept")
        return 0
    steps = ", ".join(f"{phase.fault} x {phase.times}" for phase in found)
    say(f"broken, with seed {given.seed}, after: {steps}")
    say("\n".join(broken[:MOST]))
    return 1


if __name__ == "__main__":
    sys.exit(main())
