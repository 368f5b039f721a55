"""`python -m tests.proof`: all that proves the promises, one after the other.

    python -m tests.proof                 everything, less than two hours
    python -m tests.proof sim chaos       these alone

What each step printed is in `.proof/`, a file for each. Ends with 1 if one of them has
failed; the others run all the same.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.proof.steps import STEPS, Step

ROOT: Final = Path(__file__).parents[2]

WORDS_AT_MOST: Final = 160
"""Of the last line that a step has printed, which is its sum."""


LAST_S: Final = 60.0
"""For a step that took too long, to end the processes that it has begun."""


class Done(NamedTuple):
    """Attributes:
    code: of the process; None if it was ended because it took too long.
    said: its last line.
    """

    step: Step
    code: int | None
    seconds: float
    said: str

    def __str__(self) -> str:
        verdict = {0: "kept", None: "HANGS"}.get(self.code, "BROKEN")
        minutes = f"{self.seconds / 60:.1f} min"
        return f"{self.step.name:10} {verdict:7} {minutes:>9}  {self.said}"


def carry_out(step: Step, folder: Path) -> Done:
    """Run a step to its end; what it says goes to a file."""
    log = folder / f"{step.name}.log"
    began = time.monotonic()
    command = [sys.executable, *step.words]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        code = _ended(process, step.minutes * 60)
    return Done(step, code, time.monotonic() - began, _last_line(log))


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Its exit code; None if it had to be ended. First it may end what it began."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(LAST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    said = [line.strip(" =\r") for line in lines if line.strip(" =\r")]
    return said[-1][:WORDS_AT_MOST] if said else "said nothing"


def prove(steps: Sequence[Step], folder: Path) -> int:
    """The exit code: 0 if every promise was kept."""
    folder.mkdir(exist_ok=True)
    done = []
    for step in steps:
        print(f"{step.name:10} ...", file=sys.stderr, flush=True)
        done.append(carry_out(step, folder))
        print(done[-1], flush=True)
    broken = [one.step.name for one in done if one.code != 0]
    minutes = sum(one.seconds for one in done) / 60
    end = f"not kept: {', '.join(broken)}" if broken else "every promise was kept"
    print(f"{end}; {minutes:.0f} minutes; all that was said is in {folder}")
    return 1 if broken else 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.proof", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [step.name for step in STEPS]
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(names))
    chosen = parser.parse_args(words).steps
    if unknown := set(chosen) - set(names):
        parser.error(f"no such step: {', '.join(unknown)}; there are {names}")
    steps = [step for step in STEPS if step.name in chosen or not chosen]
    return prove(steps, ROOT / ".proof")


if __name__ == "__main__":
    sys.exit(main())
