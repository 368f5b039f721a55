"""That the slope finder finds a planted leak, and does not cry at noise."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.soak.slopes import Point, slope

BOUND = 1.0
EVERY_S = 3.0
WARM_UP_S = 60.0
QUANTUM = 0.1


def memory(
    chance: random.Random,
    minutes: float,
    leak: float = 0.0,
    lives: int = 1,
    noise: float = 0.3,
) -> Iterator[Point]:
    """MiB as a process has them: noise that hangs together, spikes, warming up, and
    `leak` MiB an hour; of so many processes, one after the other."""
    each = minutes * 60 / lives
    for life in range(lives):
        drift = 0.0
        for step in range(int(each / EVERY_S)):
            age = step * EVERY_S
            drift = 0.9 * drift + chance.gauss(0, noise * 0.4)
            value = 60 + drift + leak * age / 3600 - 20 * 0.5 ** (age / 10)
            if chance.random() < 0.02:
                value += chance.uniform(0, 30)
            yield Point(life * each + age, value, life)


def test_a_leak_is_found() -> None:
    for seed in range(20):
        chance = random.Random(seed)
        found = slope(memory(chance, 20, leak=30), WARM_UP_S, QUANTUM)
        assert found is not None, seed
        assert found.rises_above(BOUND), (seed, found)
        assert 20 < found.per_hour < 40, (seed, found)


def test_a_leak_is_found_in_processes_that_are_killed_now_and_then() -> None:
    for seed in range(20):
        found = slope(
            memory(random.Random(seed), 60, leak=30, lives=5), WARM_UP_S, QUANTUM
        )
        assert found is not None, seed
        assert found.rises_above(BOUND), (seed, found)


def test_noise_is_no_leak() -> None:
    cries = [
        (seed, lives)
        for seed in range(60)
        for lives in (1, 2)
        for found in [
            slope(memory(random.Random(seed), 15, lives=lives), WARM_UP_S, QUANTUM)
        ]
        if found is None or found.rises_above(BOUND)
    ]
    assert cries == []


def test_a_longer_run_tells_a_smaller_leak() -> None:
    tells = []
    for minutes in (10, 40, 160):
        found = slope(memory(random.Random(1), minutes), WARM_UP_S, QUANTUM)
        assert found is not None
        tells.append(found.tells_from(BOUND))
    assert tells == sorted(tells, reverse=True)
    assert tells[-1] < BOUND + 1


def test_a_process_that_starts_small_is_no_leak_and_one_that_starts_anew_no_gain() -> (
    None
):
    """Warming up is left out, and the next process is not compared with the last."""
    flat = [Point(at, 50.0 if at > 60 else float(at), 0) for at in range(0, 600, 3)]
    anew = [Point(at + 600, 90.0, 1) for at in range(0, 600, 3)]
    found = slope([*flat, *anew], WARM_UP_S, QUANTUM)
    assert found is not None
    assert found.per_hour == 0


def test_a_run_that_is_too_short_tells_nothing() -> None:
    points = [Point(at, at * 100.0) for at in range(30)]
    assert slope(points, 0.0, QUANTUM) is None
    assert slope([], 0.0, QUANTUM) is None


def test_a_descriptor_that_leaks_at_each_kill_is_found() -> None:
    """Steps, not a line: one more every five minutes, in two hours."""
    points = [Point(at, 40 + at // 300) for at in range(0, 7200, 10)]
    found = slope(points, WARM_UP_S, 0.5)
    assert found is not None
    assert found.rises_above(2.0), found
