"""Do the tests notice a small change of the product? `python -m tests.mutants --help`.

For each mutant that no test of its file notices, and that explained.toml does not
explain, its change is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tests.mutants import operators
from tests.mutants.plan import TARGETS, Target
from tests.mutants.running import Outcome, Result, Run, copied

HEAD = f"{'file':40}{'mutants':>9}{'killed':>8}{'timed out':>11}{'survived':>10}{'explained':>11}"  # fmt: skip # noqa: E501


def main(words: Sequence[str] | None = None) -> int:
    said = _parser().parse_args(words)
    if not operators.is_there():
        print("needs cosmic-ray: pip install '.[dev]'", file=sys.stderr)
        return 2
    chosen = [target for target in TARGETS if _is_meant(target, said.only)]
    if not chosen:
        print(f"no such file; there are {', '.join(_names())}", file=sys.stderr)
        return 2
    begun = time.monotonic()
    print(HEAD, flush=True)
    with copied() as copy:
        run = Run(copy, said.jobs, said.sample, said.seed)
        results = [show(run.try_all(target)) for target in chosen]
    print(_row("all", *map(sum, zip(*map(_counts, results), strict=True))))
    print(f"{time.monotonic() - begun:,.0f} s")
    return 1 if any(result.survivors or result.failing for result in results) else 0


def show(result: Result) -> Result:
    """Print a line of figures, and each survivor."""
    print(_row(result.target.file, *_counts(result)), flush=True)
    for test in result.failing:
        print(f"    fails without a mutant: {test}")
    for outcome in result.survivors:
        print(*_diff(outcome), sep="\n")
    for outcome in result.outcomes:
        if outcome.known and outcome.end != "survived":
            print(f"    explained, and yet {outcome.end}: {outcome.after}")
    sys.stdout.flush()
    return result


def _diff(outcome: Outcome) -> list[str]:
    mutant = outcome.mutant
    note = "" if outcome.reached else ", which no test runs"
    return [
        f"    {mutant.file}:{mutant.lines[0]} {mutant.function}{note}",
        f"      - {outcome.before}",
        f"      + {outcome.after}",
    ]


def _counts(result: Result) -> list[int]:
    ends = [result.count(end) for end in ("killed", "timed out")]
    return [len(result.outcomes), *ends, len(result.survivors), result.explained]


def _row(name: str, *counts: int) -> str:
    total, killed, late, survived, known = counts
    return f"{name:40}{total:9}{killed:8}{late:11}{survived:10}{known:11}"


def _names() -> list[str]:
    return [target.file for target in TARGETS]


def _is_meant(target: Target, only: Sequence[str]) -> bool:
    return not only or any(word in target.file for word in only)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="FILE", help="or part of its name"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="so many of each file, by chance"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of the sample"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
