"""The table: `python -m benchmarks [--only TEXT] [--window N] [--seconds S] ...`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.bus import Bus
from benchmarks.cases import Case, all_cases
from benchmarks.commits import Commits
from benchmarks.figures import Figure, figure, table, write
from benchmarks.relay import Relay
from ipcbus.transport import launch

HEADS = (
    "case",
    "ipcbus msg/s",
    "confirm p50 us",
    "p99",
    "arrive p50 us",
    "relay msg/s",
    "bus/relay",
    "commit rows/s",
    "bus/commit",
    "broker cpu",
    "rss MiB",
)

Rounds = dict[str, list[dict[str, float]]]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    cases = [case for case in all_cases() if _is_wanted(case, options)]
    print(
        f"{len(cases)} cases, {options.rounds} rounds of {options.seconds:g} s each\n"
    )
    measured: list[tuple[Case, Rounds]] = []
    for case in cases:
        rounds = measure(case, options)
        measured.append((case, rounds))
        print(f"{case.name}: {figure(_all(rounds, 'bus', 'rate')).text()}", flush=True)
    print("\n" + table(HEADS, [_row(case, rounds) for case, rounds in measured]))
    print(
        "\nMedians of the rounds, in brackets the lowest and the highest. confirm: from"
        "\nsubmit to receipt; arrive: from submit to the receiver's hands; broker cpu:"
        "\nseconds per 100,000 messages."
    )
    told = [{"case": case._asdict(), "rounds": rounds} for case, rounds in measured]
    print(f"\nwritten: {write('bench', {'cases': told})}")


def measure(case: Case, options: argparse.Namespace) -> Rounds:
    """All three take turns, so that a slow moment of the machine hits all."""
    seconds, folder = options.seconds, options.folder
    found: Rounds = {"bus": [], "relay": [], "commits": []}
    with ExitStack() as stack:
        bus = stack.enter_context(closing(Bus(case, folder, launch.command)))
        others: dict[str, Relay | Commits] = {}
        if not options.alone:
            others["relay"] = stack.enter_context(closing(Relay(case)))
            others["commits"] = stack.enter_context(closing(Commits(case, folder)))
        bus.round(min(seconds, 0.5))  # the first touch of everything
        for _ in range(options.rounds):
            bus.settle()
            for name, other in others.items():
                found[name].append(other.round(seconds))
            found["bus"].append(bus.round(seconds))
    return found


def _all(rounds: Rounds, who: str, what: str) -> list[float]:
    """Of each round; NaN for one who was not asked."""
    return [found[what] for found in rounds[who]] or [math.nan]


def _row(case: Case, rounds: Rounds) -> list[str]:
    def of(who: str, what: str) -> Figure:
        return figure(_all(rounds, who, what))

    bus, relay, commits = (of(who, "rate") for who in ("bus", "relay", "commits"))
    return [
        case.name,
        bus.text(),
        f"{of('bus', 'confirm_p50_us').median:,.0f}",
        f"{of('bus', 'confirm_p99_us').median:,.0f}",
        f"{of('bus', 'arrive_p50_us').median:,.0f}",
        f"{relay.median:,.0f}",
        f"{bus.median / relay.median:.2f}",
        f"{commits.median:,.0f}",
        f"{bus.median / commits.median:.2f}",
        f"{of('bus', 'broker_cpu_s_per_100k').median:.2f}",
        f"{of('bus', 'broker_rss_mib').median:.0f}",
    ]


def _is_wanted(case: Case, options: argparse.Namespace) -> bool:
    wanted: dict[str, Any] = {
        "pairs": options.pairs,
        "size": options.size,
        "window": options.window,
        "plain": {None: None, "curve": False, "plain": True}[options.security],
    }
    if options.only and options.only not in case.name:
        return False
    return all(
        value is None or getattr(case, field) == value
        for field, value in wanted.items()
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help="cases whose name has this, such as '1 pair,'")
    parser.add_argument("--pairs", type=int, choices=(1, 100))
    parser.add_argument("--size", type=int, choices=(256, 65536))
    parser.add_argument("--window", type=int, choices=(1, 64, 1024))
    parser.add_argument("--security", choices=("curve", "plain"))
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="nothing to compare with")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
