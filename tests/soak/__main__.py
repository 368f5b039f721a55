"""`python -m tests.soak`: two networks and a bridge at work for hours, with kills.

    --hours 1            how long
    --rate 1000          messages a second, all citizens together
    --seed 7             the same victims in the same order again
    --picture FILE.svg   the curves
    --json FILE          the samples and what came of them
    --redraw FILE        judge and draw the samples of such a file again

Exit code 1 when a message was lost, doubled or out of order, a counter did not add up,
or a curve that must be flat goes up by more than this run can mistake.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks.figures import machine
from tests.bridges.town import new_home
from tests.chaos.__main__ import interrupted, say
from tests.soak import verdicts
from tests.soak.city import Size, city
from tests.soak.gauges import Sample
from tests.soak.walk import Outcome, Plan, planned, walk

EACH: Final = 3
"""Citizens of a network: one that is never killed and two that are."""

MOST: Final = 20
"""Lines that are told of what broke."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--picture", type=Path, metavar="FILE.svg")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--redraw", type=Path, metavar="FILE")
    return parser.parse_args()


def run(given: argparse.Namespace) -> Outcome:
    say(f"seed {given.seed}")
    with (
        new_home() as home,
        new_home() as scratch,
        city(home, scratch.folder, Size(EACH, given.rate)) as made,
    ):
        return walk(made, planned(given.hours), random.Random(given.seed), say)


def read(path: Path) -> Outcome:
    told = json.loads(path.read_text())
    del told["machine"]
    return Outcome(
        **{
            **told,
            "plan": Plan(**told["plan"]),
            "samples": [Sample(**row) for row in told["samples"]],
            "counts": Counter(told["counts"]),
        }
    )


def tell(outcome: Outcome, given: argparse.Namespace) -> bool:
    """Say, write and draw what came of it; whether all is as promised."""
    found = verdicts.verdicts(outcome.samples)
    say("\n" + verdicts.table(found))
    say("\n" + verdicts.summary(outcome))
    if given.json:
        text = json.dumps({"machine": machine(), **outcome.as_json()})
        given.json.write_text(text + "\n")
    if given.picture:
        from tests.soak.picture import draw

        draw(outcome, given.picture)
    say("\n".join(outcome.broken[:MOST]))
    return not outcome.broken and all(one.good is not False for one in found)


def main() -> int:
    given = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    try:
        outcome = read(given.redraw) if given.redraw else run(given)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    good = tell(outcome, given)
    say("every promise was kept" if good else "broken")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
