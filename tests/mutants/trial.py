"""Runs tests against mutants: `python -m tests.mutants.trial TASK.json`, in a copy.

Warm: the tests are collected once; each is run without a mutant, to see how long it
takes and which lines it passes; then a child is forked for each mutant, which plants it
and runs the tests that pass its lines, the quickest first, until one fails. Cold: one
mutant is planted before anything is imported, and pytest runs as usual.

What runs away is ended by the time of its processor, because that of the wall says
more about what else the machine does.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Final, NamedTuple

import pytest

from tests.mutants.making import Mutant
from tests.mutants.swapping import CannotSwap, functions, swap
from tests.mutants.watching import Watch

LEAST_S: Final = 1.0
TIMES: Final = 5
"""What a test may take with a mutant: `TIMES` what it takes without, and `LEAST_S`."""

MEMORY: Final = 3 << 30

KILLED, SURVIVED, COLD = 10, 11, 12
"""Exit codes of children."""


class Passed(NamedTuple):
    """How a test went without a mutant."""

    seconds: float
    lines: frozenset[int]
    failed: bool


class Quick:
    """A plug-in of pytest: of random examples the first that fails is enough, and none
    is kept for the next mutant. It also seeds what is random by hand."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "mutants",
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        random.seed(0)


class Trial:
    """A plug-in of pytest that tries mutants instead of running the tests once."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._path = str(Path(task["file"]).resolve())
        self._text = Path(task["file"]).read_text()
        self._mutants = [Mutant(*values) for values in task["mutants"]]
        self._jobs: int = task["jobs"]
        self._out = Path(task["out"])
        self._failed = False
        self._trying = -1
        self._kills: Counter[str] = Counter()
        self._watch = Watch(self._text, self._path)
        self._imported: frozenset[int] = frozenset()
        """Lines of functions that ran before the first test: what they made stays as it
        was, whatever is planted later."""
        plant(self._path, self._watch.code)

    def pytest_collection_finish(self) -> None:
        self._imported = self._watch.take()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> None:
        """That it failed is enough: nobody reads why."""
        failed = call.excinfo and not call.excinfo.errisinstance(pytest.skip.Exception)
        if failed and self._trying >= 0:
            self._note(self._trying).write_text(item.nodeid)
            os._exit(KILLED)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            return False
        passed = self._without_mutant(session.items)
        alive = functions(self._path)
        running: dict[int, int] = {}
        gc.freeze()  # so that collecting garbage does not copy all of it in each child
        with self._out.open("w") as out:
            _tell(out, {"failing": [i.nodeid for i, p in passed if p.failed]})
            for at, mutant in enumerate(self._mutants):
                if len(running) >= self._jobs:
                    self._reap(running, out)
                items = self._chosen(passed, mutant)
                pid = _fork(partial(self._try, at, items, alive))
                running[pid] = at
                _tell(out, {"mutant": at, "tests": [item.nodeid for item, _ in items]})
            while running:
                self._reap(running, out)
        return True

    def _reap(self, running: dict[int, int], out: Any) -> None:
        pid, status = os.waitpid(-1, 0)
        code = os.waitstatus_to_exitcode(status)
        at = running.pop(pid)
        if code == KILLED:
            self._kills[self._note(at).read_text()] += 1
        words = {SURVIVED: "survived", COLD: "cold"}
        end = words.get(code, "timed out" if code < 0 else "killed")
        _tell(out, {"mutant": at, "end": end})

    def _note(self, at: int) -> Path:
        """Where a child leaves the name of the test that killed its mutant."""
        return self._out.with_suffix(f".{at}")

    def _without_mutant(
        self, items: Sequence[pytest.Item]
    ) -> list[tuple[pytest.Item, Passed]]:
        """In a child as well, so that nothing of it is left here."""
        told, tell = os.pipe()

        def run_all() -> int:
            os.close(told)
            with os.fdopen(tell, "w") as pipe:
                for item, next_item in zip(items, [*items[1:], None], strict=True):
                    pipe.write(json.dumps(self._measure(item, next_item)) + "\n")
            return 0

        pid = _fork(run_all)
        os.close(tell)
        with os.fdopen(told) as pipe:
            lines = [json.loads(line) for line in pipe]
        os.waitpid(pid, 0)
        assert len(lines) == len(items), "the tests ended before their end"
        found = [Passed(line[0], frozenset(line[1]), line[2]) for line in lines]
        return list(zip(items, found, strict=True))

    def _measure(self, item: pytest.Item, next_item: pytest.Item | None) -> list[Any]:
        self._failed = False
        begun = os.times()
        self._run(item, next_item)
        ended = os.times()
        used = ended.user + ended.system - begun.user - begun.system
        return [used, sorted(self._watch.take()), self._failed]

    def _chosen(
        self, passed: list[tuple[pytest.Item, Passed]], mutant: Mutant
    ) -> list[tuple[pytest.Item, Passed]]:
        """Tests that pass its lines: quick ones and those that killed others first."""
        lines = _lines(mutant)
        some = [pair for pair in passed if pair[1].lines & lines and not pair[1].failed]
        kills = self._kills
        return sorted(
            some, key=lambda pair: pair[1].seconds / (1 + kills[pair[0].nodeid])
        )

    def _try(self, at: int, items: list[tuple[pytest.Item, Passed]], alive: Any) -> int:
        mutant = self._mutants[at]
        try:
            swap(alive, self._path, self._text, mutant.plant(self._text))
        except CannotSwap:
            return COLD
        self._trying = at
        early = not self._imported.isdisjoint(_lines(mutant))
        for item, passed in items:
            bound = LEAST_S + TIMES * passed.seconds
            signal.setitimer(signal.ITIMER_VIRTUAL, bound)
            self._run(item, None)
        return COLD if early else SURVIVED

    def _run(self, item: pytest.Item, next_item: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)


def _lines(mutant: Mutant) -> set[int]:
    return set(range(mutant.lines[0], mutant.lines[1] + 1))


def _fork(work: Callable[[], int]) -> int:
    """A child that does it, and ends with its answer."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        code = work()
    finally:
        os._exit(code)


def _tell(out: Any, facts: dict[str, Any]) -> None:
    out.write(json.dumps(facts) + "\n")
    out.flush()


def plant(path: str, code: CodeType) -> None:
    """Let every import of the file get this."""
    real = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, name: str) -> CodeType | None:
        if str(Path(self.path).resolve()) != path:
            return real(self, name)
        return code

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


def _words(task: dict[str, Any]) -> Iterator[str]:
    yield from ("-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist")
    yield from ("--hypothesis-profile=mutants", "--hypothesis-seed=0")
    yield from task["tests"]


def main(order: str) -> int:
    task = json.loads(Path(order).read_text())
    if "mutants" in task:
        return int(pytest.main(list(_words(task)), plugins=[Quick(), Trial(task)]))
    resource.setrlimit(resource.RLIMIT_CPU, (task["cpu_s"], task["cpu_s"]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    path = str(Path(task["file"]).resolve())
    plant(path, compile(task["text"], path, "exec", dont_inherit=True))
    return int(pytest.main([*_words(task), "-x"], plugins=[Quick()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
