"""ipcbus next to other brokers: `python -m benchmarks.peers [--only TEXT] ...`.

Whatever is installed takes part; of the others it is said what would install them.
Servers are started on random ports of loopback and end with the run.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.figures import figure, table, write
from benchmarks.peers import bars
from benchmarks.peers.entries import TITLES, Entry, Running, all_entries

Told = list[dict[str, float] | None]

COLUMNS = (
    ("confirm p50 us", "confirm_p50_us", 0),
    ("p99", "confirm_p99_us", 0),
    ("arrive p50 us", "arrive_p50_us", 0),
    ("p99", "arrive_p99_us", 0),
    ("server s/100k", "server_us", 2),
    ("later", "server_later_us", 2),
    ("MiB", "server_mib", 0),
)

NOTES = """
Medians of the rounds, in brackets the lowest and the highest. confirm: from the call to
the confirmation (of a batch: of its last message); arrive: from the call to the
receiver's hands; server: seconds of its processors per 100,000 messages in the round,
and later, until it was idle again; MiB: its memory at the end of a round. Nothing is
encrypted where CURVE is not named."""

WARM_S = 0.3
"""The first touch of everything, which is not counted."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    began, load = time.monotonic(), os.getloadavg()[0]
    print(f"load of the machine before: {load:.1f}")
    rounds: dict[tuple[str, str], Told] = {}
    absent: dict[str, str] = {}
    for group, title in TITLES.items():
        entries = [
            entry
            for entry in all_entries()
            if entry.group == group and _is_wanted(entry, options)
        ]
        if entries:
            print(f"\n{title}\n", flush=True)
            rounds |= measure(entries, options, absent)
            print(_table(group, rounds), flush=True)
    print(NOTES + "\n")
    for name, why in absent.items():
        print(f"{name}: {why}")
    _say_bars(rounds, only_measured=bool(options.only))
    print(f"\nwritten: {write('peers', {'load': load, **_as_json(rounds, absent)})}")
    if options.picture:
        from benchmarks.peers.picture import draw

        print(f"drawn: {draw(rounds, options.picture)}")
    print(f"took {time.monotonic() - began:.0f} s")


def measure(
    entries: list[Entry], options: argparse.Namespace, absent: dict[str, str]
) -> dict[tuple[str, str], Told]:
    """All of a group take turns, every second round from the last to the first, so that
    a slow moment of the machine hits all."""
    found: dict[tuple[str, str], Told] = {}
    with ExitStack() as stack:
        running: list[tuple[Entry, Running]] = []
        for entry in entries:
            why = entry.missing() or _begun(entry, options, stack, running)
            if why:
                absent[entry.name] = why
        for at in range(options.rounds):
            for entry, contender in running[:: 1 if at % 2 == 0 else -1]:
                told = _round(entry, contender, options.seconds)
                found.setdefault((entry.group, entry.name), []).append(told)
    return {key: found[key] for key in _in_order(entries) if key in found}


def _in_order(entries: list[Entry]) -> list[tuple[str, str]]:
    return [(entry.group, entry.name) for entry in entries]


def _begun(
    entry: Entry,
    options: argparse.Namespace,
    stack: ExitStack,
    running: list[tuple[Entry, Running]],
) -> str:
    """Start it and let it touch everything once; why that failed, or ""."""
    try:
        contender = stack.enter_context(closing(entry.begin(options.folder)))
        contender.round(min(WARM_S, options.seconds))
    except Exception as error:  # noqa: BLE001 - the others are to be measured yet
        return f"failed: {type(error).__name__}: {error}"
    running.append((entry, contender))
    return ""


def _round(entry: Entry, contender: Running, seconds: float) -> dict[str, float] | None:
    gc.collect()
    try:
        return contender.round(seconds)
    except Exception as error:  # noqa: BLE001 - as above
        print(f"{entry.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return None


def _table(group: str, rounds: dict[tuple[str, str], Told]) -> str:
    """From the fastest on."""
    heads = ["", "msg/s", *(head for head, _, _ in COLUMNS)]
    here = [(name, told) for (where, name), told in rounds.items() if where == group]
    here.sort(key=lambda one: _median(one[1], "rate"), reverse=True)
    rows = []
    for name, told in here:
        cells = [_cell(told, field, digits) for _, field, digits in COLUMNS]
        rows.append([name, _rate(told), *cells])
    return table(heads, rows)


def _median(told: Told, field: str) -> float:
    """NaN if nobody told it."""
    values = [one[field] for one in told if one is not None and field in one]
    return figure(values or [math.nan]).median


def _rate(told: Told) -> str:
    values = [one["rate"] for one in told if one is not None]
    return figure(values).text() if values else "failed"


def _cell(told: Told, field: str, digits: int) -> str:
    median = _median(told, field)
    if math.isnan(median):
        return "-"
    # Microseconds a message are tenths of seconds per 100,000.
    scale = 0.1 if field in ("server_us", "server_later_us") else 1.0
    return f"{median * scale:,.{digits}f}"


def _say_bars(rounds: dict[tuple[str, str], Told], *, only_measured: bool) -> None:
    told = [
        bars.row(bar, rounds)
        for bar in bars.BARS
        if not only_measured or bar.measured(rounds) or bar.measured(rounds, curve=True)
    ]
    if not told:
        return
    print("\n" + table(bars.HEADS, told))
    print(
        "\nRatios of the same round: median, in brackets the lowest and the highest."
        "\nWith CURVE: ipcbus encrypted, the others not."
    )


def _as_json(
    rounds: dict[tuple[str, str], Told], absent: dict[str, str]
) -> dict[str, Any]:
    return {
        "rounds": [
            {"group": group, "name": name, "rounds": told}
            for (group, name), told in rounds.items()
        ],
        "ratios": [
            {**bar._asdict(), "text": bar.text, "measured": bar.measured(rounds)}
            for bar in bars.BARS
        ],
        "absent": absent,
    }


def _is_wanted(entry: Entry, options: argparse.Namespace) -> bool:
    where = f"{entry.group}: {entry.name}"
    return not options.only or any(text in where for text in options.only)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="TEXT",
        help="those with this in 'GROUP: NAME', such as 'one pair, durable: ipcbus';"
        " may be given several times",
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    parser.add_argument("--picture", type=Path, help="an SVG or PNG of the rates")
    options = parser.parse_args(arguments)
    if options.picture and find_spec("matplotlib") is None:
        parser.error("--picture needs matplotlib: pip install matplotlib")
    return options


if __name__ == "__main__":
    main()
