"""The run of all proofs tells what failed, and stops at nothing."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.proof.__main__ import ROOT, main, prove
from tests.proof.steps import STEPS, Step


def _python(name: str, code: str, minutes: float = 1.0) -> Step:
    return Step(name, minutes, ("-c", code))


GOOD = _python("good", "print('1,000 tried'); print('none lost ===')")
BAD = _python("bad", "print('1 lost'); raise SystemExit(3)")
SLOW = _python("slow", "import signal; signal.pause()", minutes=0.005)


def test_what_failed_is_told_and_the_rest_is_done_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove([BAD, SLOW, GOOD], tmp_path) == 1
    bad, slow, good, end = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"bad +BROKEN +\d+\.\d min  1 lost", bad)
    assert re.fullmatch(r"slow +HANGS +\d+\.\d min  .+", slow)
    assert re.fullmatch(r"good +kept +\d+\.\d min  none lost", good)
    assert end.startswith("not kept: bad, slow; ")
    assert (tmp_path / "good.log").read_text() == "1,000 tried\nnone lost ===\n"


def test_when_all_is_well_it_ends_with_0(tmp_path: Path) -> None:
    assert prove([GOOD], tmp_path) == 0


def test_a_step_that_there_is_not_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nonsense"])
    assert ended.value.code == 2
    assert "no such step: nonsense" in capsys.readouterr().err


def test_every_step_is_a_program_that_is_there() -> None:
    for step in STEPS:
        assert step.words[0] == "-m"
        assert importlib.util.find_spec(step.words[1]), step.name


def test_all_of_it_takes_less_than_two_hours_unless_something_hangs() -> None:
    """The bounds leave each step twice the time that it takes."""
    assert sum(step.minutes for step in STEPS) / 2 < 120


def test_make_proof_runs_it() -> None:
    assert "tests.proof" in (ROOT / "Makefile").read_text()
