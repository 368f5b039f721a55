"""Each parser takes its input or refuses it in words, whatever bytes there are.

`python -m tests.fuzz` does for minutes what is done here for a moment.
"""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcbus.errors import UsageError
from tests.fuzz import __main__ as fuzz
from tests.fuzz import engines, finds, side_by_side, targets
from tests.fuzz.finds import Finds
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

ROUNDS = 200
NAMES = sorted(TARGETS)
moment = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck)
)

each_target = pytest.mark.parametrize("name", NAMES)


@each_target
def test_what_the_real_encoders_and_people_write_is_taken(name: str) -> None:
    said = [TARGETS[name].run(seed) for seed in TARGETS[name].seeds()]
    assert said.count("taken") * 2 > len(said), said


@each_target
def test_what_broke_a_parser_once_does_not_do_so_again(name: str) -> None:
    for data in finds.kept(name):
        with finds.in_time():
            TARGETS[name].run(data)


@each_target
def test_damaged_inputs_are_taken_or_refused(name: str, tmp_path: Path) -> None:
    seed = random.randrange(2**31)
    print(f"seed {seed}")
    chance, target = random.Random(seed), TARGETS[name]
    pool = [*target.seeds(), *finds.kept(name)]
    found = Finds(target, tmp_path)
    with finds.in_time():
        for _ in range(ROUNDS):
            found.attempt(mutated(chance, pool))
    assert not found.folder.exists(), "a find is told above"


@each_target
def test_any_bytes_are_taken_or_refused(name: str) -> None:
    @moment
    @given(st.binary(max_size=200))
    def whatever(data: bytes) -> None:
        TARGETS[name].run(data)

    whatever()


@each_target
def test_any_text_is_taken_or_refused(name: str) -> None:
    @moment
    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
    def whatever(text: str) -> None:
        TARGETS[name].run(text.encode())

    whatever()


def test_all_that_was_kept_belongs_to_a_target() -> None:
    assert {path.name for path in finds.KEPT.iterdir()} <= set(TARGETS)


# --- that it can fail ------------------------------------------------------------


def _fragile(data: bytes) -> None:
    if data[:1] != b"{":
        raise UsageError(reason="no object")
    if b"!" in data:
        raise KeyError("planted")


PLANTED = Target("planted", _fragile, (UsageError,), lambda: [b'{"a": 1}', b"{}"])


def _plant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "TARGETS", {"planted": PLANTED})


def test_a_planted_crash_is_found_saved_and_repeated_by_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _plant(monkeypatch)
    engines.run("mutate", "planted", 1.5, tmp_path, seed=1)
    said = capfd.readouterr().out
    assert said.count("FIND in planted: KeyError: 'planted'") == 1, "once for a place"
    (saved,) = (tmp_path / "planted.finds").iterdir()
    assert b"!" in saved.read_bytes()
    assert repr(saved.read_bytes()) in said
    command = re.search(r"again: python -m tests\.fuzz (.*)", said)
    assert command is not None
    monkeypatch.setattr(sys, "argv", ["fuzz", *shlex.split(command[1])])
    assert fuzz.main() == 1
    assert "KeyError: 'planted'" in capfd.readouterr().err


def test_a_declared_error_is_no_find(tmp_path: Path) -> None:
    found = Finds(PLANTED, tmp_path)
    assert found.attempt(b"x").startswith("UsageError")
    assert found.attempt(b"{") == "taken"
    assert not found.folder.exists()


def test_a_parser_that_does_not_end_is_a_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(finds, "MOST_S", 0.05)

    def feed(data: bytes) -> None:
        while data:
            pass

    found = Finds(PLANTED._replace(feed=feed), tmp_path)
    with finds.in_time():
        found.attempt(b"x")
    assert "Slow" in capfd.readouterr().out
    assert len(list(found.folder.iterdir())) == 1


def test_the_same_seed_makes_the_same_inputs() -> None:
    pool = [b'{"a": [1, 2]}', b"\x93\x01\xa1a\x90"]
    one, two = random.Random(7), random.Random(7)
    made = [mutated(one, pool) for _ in range(100)]
    assert made == [mutated(two, pool) for _ in range(100)]
    assert len(set(made)) > 50


def test_the_command_line_fuzzes_targets_and_shows_a_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--only", "topics"]
    command += ["--engine", "mutate", "--minutes", "0.01", "--corpus", str(tmp_path)]
    ended = subprocess.run(
        command,
        cwd=fuzz.ROOT,
        env={"PYTHONPATH": f"{fuzz.ROOT}:{fuzz.ROOT / 'bridges'}"},
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^topics +[\d,]+ +[\d,]+ +0$", ended.stdout, re.MULTILINE)
    assert any((tmp_path / "topics").iterdir())


def test_a_table_tells_how_fast_each_was() -> None:
    row = side_by_side.table([side_by_side.Result("x", 3000, 2.0, 1)]).splitlines()[1]
    assert row.split() == ["x", "3,000", "1,500", "1"]
