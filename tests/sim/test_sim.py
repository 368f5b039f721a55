"""The simulator finds what is planted, makes it short, and finds nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ipcbus.testing import Simulation
from tests.sim import __main__ as sim
from tests.sim import planted_disk
from tests.sim.planted import BUGS
from tests.sim.running import Found, command, seek
from tests.sim.shrinking import shrink
from tests.sim.walks import THINGS, Failure, Walk, walk, world_of

ROOT: Final = Path(__file__).parents[2]

SEEDS: Final = range(30)
"""In which a bug must be found here; rarer ones are for `--planted`."""

CLIENT_SEEDS: Final = range(2, 120, 3)
"""The same for those that only walks with real clients and disks can show."""

RARE: Final = frozenset(
    {
        "answers-not-counted",
        "batch-dropped-at-reload",
        "dead-leader-leads",
        "deferral-not-remembered",
        "deferred-overtaken",
        "deferred-overtaken-at-destination",
        "deferred-overtaken-in-bridge",
        "deferred-overtaken-under-way",
        "deny-ignored",
        "handed-over-without-lead",
        "ids-purged-with-content",
        "max-attempts-never-reached",
        "max-hops-ignored",
        "not-woken-at-lead",
        "own-hop-not-checked",
        "owner-not-asked",
        "redelivery-overtaken-lost",
        "right-to-answer-for-ever",
        "right-to-answer-of-anybody",
        "settled-without-lead",
        "stale-receipt-accepted",
        "topic-copy-lost",
        "topic-goes-round",
    }
)
"""These are found too, but take more seeds than a quick test may cost."""

SHORT: Final = ("attempt-not-raised", "page-upside-down", "resent-in-another-order")


def found(name: str) -> Walk:
    seeds = CLIENT_SEEDS if name in planted_disk.BUGS else SEEDS
    seen: Found = seek(name, seeds, THINGS)
    assert seen.walk is not None, f"{name} is not found in {seeds}"
    return seen.walk


@pytest.mark.parametrize("name", sorted(BUGS.keys() - RARE))
def test_a_planted_bug_is_found(name: str) -> None:
    assert found(name).failure is not None


@pytest.mark.parametrize("name", SHORT)
def test_what_fails_is_made_short_and_can_be_repeated(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    walked = found(name)
    with BUGS[name].planted():
        short = shrink(walked)

    assert short.failure is not None
    assert walked.failure is not None
    assert short.failure.kind == walked.failure.kind
    assert len(short.things) < len(walked.things) // 2

    words = command(short, name).split()
    assert words[:3] == ["python", "-m", "tests.sim"]
    assert sim.main(words[3:]) == 1
    told = capsys.readouterr().out
    assert short.failure.kind in told
    assert f"FAILED: {short.failure.said}" in told


def test_things_that_do_not_matter_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails_with_3_and_17(seed: int, things: list[int]) -> Walk:
        failure = Failure("kind", "said") if {3, 17} <= set(things) else None
        return Walk(seed, tuple(things), [], 1, failure)

    monkeypatch.setattr("tests.sim.shrinking.walk", fails_with_3_and_17)

    assert shrink(fails_with_3_and_17(0, list(range(40)))).things == (3, 17)


def test_both_kinds_of_worlds_are_walked_in_turn() -> None:
    are_simulations = [isinstance(world_of(seed), Simulation) for seed in range(6)]
    assert are_simulations == [False, False, True] * 2


@pytest.mark.parametrize("seed", [1, 2])
def test_a_walk_of_either_kind_is_told_in_lines_and_counted(seed: int) -> None:
    walked = walk(seed, [4, 5, 6])
    assert walked.failure is None
    assert walked.events > 10
    first, *things, last = walked.story
    assert first.startswith(f"seed {seed}: a")
    assert [line.split()[0] for line in things] == ["4", "5", "6"]
    assert last == "the end"


def test_a_broken_promise_is_told_by_its_name() -> None:
    with BUGS["accepted-said-twice-as-failed"].planted():
        failures = [walk(seed, range(THINGS)).failure for seed in (2, 5, 8, 11)]
    assert "made up" in [failure.kind for failure in failures if failure]


def test_a_failing_seed_is_told_and_the_code_is_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with BUGS["page-upside-down"].planted():
        code = sim.main(["--seeds", "1", "--jobs", "1"])
    told = capsys.readouterr().out

    assert code == 1
    assert "shrunk from" in told
    assert "again: python -m tests.sim --seed 0 --only " in told
    assert told.splitlines()[-1].endswith(", 1 failed")


def test_clean_seeds_give_code_0_and_a_sum() -> None:
    words = ["-m", "tests.sim", "--seeds", "10", "--things", "30", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert (done.returncode, done.stderr) == (0, "")
    seeds, events = done.stdout.split(" in ")[0].split(", ")
    assert seeds == "10 seeds"
    assert int(events.removesuffix(" events").replace(",", "")) > 1_000
    assert done.stdout.endswith(" a minute), 0 failed\n")


def test_an_unknown_bug_is_refused_with_the_names_of_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sim.main(["--planted", "nonsense"]) == 2
    assert "page-upside-down" in capsys.readouterr().err
