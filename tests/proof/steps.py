"""What proves the promises, and how much of it in one go."""

from __future__ import annotations

from typing import Final, NamedTuple


class Step(NamedTuple):
    """Attributes:
    minutes: at most. What takes longer hangs.
    words: arguments of the Python interpreter.
    """

    name: str
    minutes: float
    words: tuple[str, ...]


def _step(name: str, minutes: float, words: str) -> Step:
    return Step(name, minutes, ("-m", *words.split()))


STEPS: Final = (
    _step(
        "properties",
        15,
        "pytest -q -m hypothesis --hypothesis-profile deep -n auto --timeout 900",
    ),
    _step("security", 15, "pytest -q -m security -n auto"),
    _step("sim", 20, "tests.sim --seeds 1000"),
    _step("planted", 20, "tests.sim --planted --seeds 1000"),
    _step("mutants", 30, "tests.mutants --sample 300"),
    _step("fuzz", 10, "tests.fuzz --minutes 5"),
    _step("chaos", 20, "tests.chaos --minutes 10"),
    _step("kills", 30, "tests.chaos --kills 1000"),
    _step("soak", 25, "tests.soak --hours 0.25"),
    _step("long", 45, "pytest -q -m slow --timeout 3600"),
)
"""The whole of it takes less than two hours on two processors."""
