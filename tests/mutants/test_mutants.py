"""A weak test leaves a mutant alive, and that is told; a strong one kills it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mutants import __main__ as told
from tests.mutants import explained, operators
from tests.mutants.plan import TARGETS, Target
from tests.mutants.running import ROOT, Result, Run, copied

PRODUCT = '''
"""A door that lets five in, and says how often it was asked."""

LIMIT = 5


class Door:
    def __init__(self, open_: bool) -> None:
        self.open = open_
        self.asked = 0

    def lets_in(self, people: int) -> bool:
        self.asked += 1
        return self.open and people <= LIMIT
'''

WEAK = """
from door import Door

def test_few_may_come_in_and_many_may_not():
    door = Door(True)
    assert door.lets_in(1)
    assert not door.lets_in(9)
"""

STRONG = """
from door import Door

def test_five_may_come_in_and_six_may_not():
    door = Door(True)
    assert door.lets_in(5)
    assert not door.lets_in(6)
    assert door.asked == 2

def test_nobody_comes_through_a_closed_door():
    assert not Door(False).lets_in(1)
"""

AT_THE_LIMIT = "return self.open and people < LIMIT"


Attempt = Callable[..., Result]


@pytest.fixture
def trial(tmp_path: Path, missing_part: Callable[[str], None]) -> Attempt:
    """The mutants of the door, against a test."""
    if not operators.is_there():
        missing_part("cosmic-ray")

    def attempt(test: str, sample: int | None = None) -> Result:
        (tmp_path / "door.py").write_text(PRODUCT)
        (tmp_path / "test_door.py").write_text(test)
        with copied(tmp_path) as copy:
            run = Run(copy, jobs=2, sample=sample)
            return run.try_all(Target("door.py", ("test_door.py",)))

    return attempt


def test_a_weak_test_leaves_survivors_which_are_told(
    trial: Attempt, capsys: pytest.CaptureFixture[str]
) -> None:
    result = told.show(trial(WEAK))

    survivors = {outcome.after for outcome in result.survivors}
    assert {AT_THE_LIMIT, "LIMIT = 4", "self.asked += 0"} < survivors
    assert "door.py:14 Door.lets_in" in capsys.readouterr().out


def test_a_strong_test_kills_them_all(trial: Attempt) -> None:
    result = trial(STRONG)

    assert not result.failing
    assert result.count("killed") == len(result.outcomes) > 9
    assert "LIMIT = 6" in {outcome.after for outcome in result.outcomes}


def test_a_test_that_fails_anyway_is_told_and_kills_nothing(trial: Attempt) -> None:
    result = trial("def test_that_fails():\n    assert []\n", sample=1)

    assert result.failing == ["test_door.py::test_that_fails"]
    assert result.count("survived") == 1


def test_what_is_explained_is_known_wherever_its_line_is(tmp_path: Path) -> None:
    kept = tmp_path / "kept.toml"
    kept.write_text(
        '[["a.py"]]\nin = "f"\nline = "x < 1"\nas = "x <= 1"\nwhy = "x is odd"\n'
        '[["a.py"]]\nin = "g"\nline = "x < 1"\nwhy = "for people"\n'
    )
    known = explained.read(kept)

    assert explained.find(known, "a.py", "f", "x < 1", "x <= 1") == known[0]
    assert explained.find(known, "a.py", "f", "x < 1", "x > 1") is None
    assert explained.find(known, "a.py", "g", "x < 1", "whatever") == known[1]
    assert explained.find(known, "b.py", "g", "x < 1", "whatever") is None


def test_each_line_that_is_explained_is_still_there() -> None:
    """When it changes, it is to be thought about again."""
    for one in explained.read():
        assert one.why
        assert one.before in _words_of(one.file, one.function), one


def _words_of(file: str, function: str) -> str:
    """What stands in a function, without its indentation."""
    text = (ROOT / file).read_text()
    node: ast.AST = ast.parse(text)
    for name in function.split(".") if function else ():
        inside = ast.walk(node)
        node = next(n for n in inside if getattr(n, "name", "") == name)
    said = ast.get_source_segment(text, node) if function else text
    return " ".join(line.strip() for line in (said or "").splitlines())


def test_each_file_and_each_of_its_tests_is_there() -> None:
    for target in TARGETS:
        paths = [word for word in target.tests if word.startswith("tests/")]
        for path in (target.file, *(path.partition("::")[0] for path in paths)):
            assert (ROOT / path).exists(), path
