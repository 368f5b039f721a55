"""`python -m tests.fuzz`: parsers fed with whatever bytes, for some minutes.

    python -m tests.fuzz --minutes 10
    python -m tests.fuzz --only language --engine mutate --seed 7
    python -m tests.fuzz --only language --input FILE      one input, to see it again

Inputs are guided by the code that they reach if atheris is installed, and made by
chance alone if not. Ends with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    given = _options().parse_args()
    from tests.fuzz import engines

    seed = given.seed if given.seed is not None else random.randrange(2**31)
    if given.seconds is not None:
        engine = engines.chosen(given.engine)
        engines.run(engine, given.only[0], given.seconds, given.corpus, seed)
        return 0
    from tests.fuzz.targets import TARGETS

    unknown = set(given.only or ()) - set(TARGETS)
    if unknown:
        print(f"there is no {', '.join(unknown)}: {', '.join(TARGETS)}")
        return 2
    if given.input is not None:
        return _again((given.only or [""])[0], given.input)
    from tests.fuzz.side_by_side import run

    engine = engines.chosen(given.engine)
    print(f"{engine}, seed {seed}, inputs in {given.corpus}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ipcbus-fuzz-") as scratch:
        names = given.only or list(TARGETS)
        jobs = given.jobs or os.cpu_count() or 1
        given.corpus.mkdir(parents=True, exist_ok=True)
        return run(
            names, engine, given.minutes * 60, given.corpus, seed, jobs, Path(scratch)
        )


def _again(name: str, path: Path) -> int:
    """One input: what becomes of it."""
    from tests.fuzz.targets import TARGETS

    if name not in TARGETS:
        print("--input needs --only with one target")
        return 2
    try:
        print(TARGETS[name].run(path.read_bytes()))
    except Exception:  # noqa: BLE001 - whatever it is, it is to be seen
        traceback.print_exc()
        return 1
    return 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("--minutes", type=float, default=1.0, help="for all together")
    options.add_argument("--only", action="append", metavar="TARGET", help="may repeat")
    options.add_argument(
        "--engine", choices=("auto", "atheris", "mutate"), default="auto"
    )
    options.add_argument("--corpus", type=Path, default=ROOT / ".fuzz", metavar="DIR")
    options.add_argument("--input", type=Path, metavar="FILE", help="only this one")
    options.add_argument("--seed", type=int, help="to have the same inputs again")
    options.add_argument("--jobs", type=int, help="processes; one for each core")
    # One target in this process, as `side_by_side` starts it.
    options.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return options


if __name__ == "__main__":
    sys.exit(main())
