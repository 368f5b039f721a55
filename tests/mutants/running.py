"""All mutants of a file, tried in a copy of the checkout."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.mutants import explained
from tests.mutants.explained import Explained
from tests.mutants.making import Mutant, mutants
from tests.mutants.plan import Target

ROOT: Final = Path(__file__).parents[2]

LEFT_OUT: Final = shutil.ignore_patterns(
    ".*", "__pycache__", "node_modules", "dist", "build", "clis", "chaos"
)

COLD_CPU_S: Final = 120
"""For one mutant in a process of its own, imports and all tests of it included."""


class Outcome(NamedTuple):
    """What became of one mutant."""

    mutant: Mutant
    before: str
    after: str
    end: str
    """`killed`, `timed out` or `survived`."""
    reached: bool
    """Whether any of the tests runs its line."""
    known: Explained | None

    @property
    def unexplained(self) -> bool:
        return self.end == "survived" and self.known is None


class Result(NamedTuple):
    target: Target
    outcomes: list[Outcome]
    failing: list[str]
    """Tests that fail without a mutant, and so tell nothing."""

    def count(self, end: str) -> int:
        return sum(outcome.end == end for outcome in self.outcomes)

    @property
    def survivors(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.unexplained]

    @property
    def explained(self) -> int:
        return self.count("survived") - len(self.survivors)


class Broken(Exception):
    """The tests could not even be begun; the words are pytest's."""


@contextmanager
def copied(root: Path = ROOT) -> Iterator[Path]:
    """A copy of what tests need, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ipcbus-mutants-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(root, copy, ignore=LEFT_OUT, symlinks=True)
        yield copy


class Run:
    """Tries files of one copy, `jobs` mutants side by side."""

    def __init__(
        self, copy: Path, jobs: int, sample: int | None = None, seed: int = 0
    ) -> None:
        self._copy = copy
        self._jobs = jobs
        self._sample, self._seed = sample, seed
        self._known = explained.read()

    def try_all(self, target: Target) -> Result:
        text = (self._copy / target.file).read_text()
        chosen = self._choose(mutants(target.file, text))
        failing, tests, ends = self._warm(target, chosen)
        all_ = [*target.tests, *(f"--deselect={test}" for test in failing)]

        def alone(at: int) -> str:
            """What runs only at import is in no test's lines, so all may tell."""
            return self._cold(target, chosen[at].plant(text), tests[at] or all_)

        cold = [at for at, end in ends.items() if end == "cold"]
        with ThreadPoolExecutor(self._jobs) as pool:
            ends.update(zip(cold, pool.map(alone, cold), strict=True))
        outcomes = [
            self._outcome(text, mutant, ends[at], bool(tests[at]))
            for at, mutant in enumerate(chosen)
        ]
        return Result(target, outcomes, failing)

    def _choose(self, found: list[Mutant]) -> list[Mutant]:
        if self._sample is None or self._sample >= len(found):
            return found
        return sorted(random.Random(self._seed).sample(found, self._sample))

    def _outcome(self, text: str, mutant: Mutant, end: str, reached: bool) -> Outcome:
        before, after = mutant.diff(text)
        where = mutant.file, mutant.function
        known = explained.find(self._known, *where, before, after)
        return Outcome(
            mutant, before, after, end, reached or not mutant.function, known
        )

    def _warm(
        self, target: Target, chosen: Sequence[Mutant]
    ) -> tuple[list[str], dict[int, list[str]], dict[int, str]]:
        """Tests that fail anyway; for each mutant its tests, and its end."""
        with tempfile.TemporaryDirectory(dir=self._copy.parent) as folder:
            out = Path(folder) / "out"
            task = {
                "file": target.file,
                "tests": target.tests,
                "mutants": chosen,
                "jobs": self._jobs,
                "out": str(out),
            }
            self._pytest(Path(folder), task)
            lines = [json.loads(line) for line in out.read_text().splitlines()]
        tests = {line["mutant"]: line["tests"] for line in lines if "tests" in line}
        ends = {line["mutant"]: line["end"] for line in lines if "end" in line}
        return lines[0]["failing"], tests, ends

    def _cold(self, target: Target, text: str, tests: Sequence[str]) -> str:
        """What becomes of a mutant that is planted before anything is imported."""
        task = {"file": target.file, "tests": tests, "text": text, "cpu_s": COLD_CPU_S}
        with tempfile.TemporaryDirectory(dir=self._copy.parent) as folder:
            code = self._pytest(Path(folder), task)
        spared = code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        return "timed out" if code < 0 else "survived" if spared else "killed"

    def _pytest(self, folder: Path, task: dict[str, Any]) -> int:
        """Its exit code; less than nothing if it was ended."""
        order, log = folder / "task.json", folder / "log"
        order.write_text(json.dumps(task))
        paths = [self._copy, self._copy / "bridges", ROOT]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
        with log.open("wb") as told:
            ended = subprocess.run(
                [sys.executable, "-m", "tests.mutants.trial", str(order)],
                cwd=self._copy,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if "out" in task and not Path(task["out"]).exists():
            raise Broken(log.read_text(errors="replace"))
        return ended.returncode
