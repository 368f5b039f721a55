"""The clock of a broker, on clocks that the test moves."""

from __future__ import annotations

from ipcbus.transport.clock import DRIFT_MS, DRIFT_S, Clock

HOUR = 3600.0


class World:
    """A system clock that can be set, and time that passes."""

    def __init__(self) -> None:
        self.system = 1_000_000.0
        self.passed = 50.0
        self.mono = 7.0

    def clock(self, last_wall: int = 0) -> Clock:
        return Clock(
            last_wall,
            system=lambda: self.system,
            passed=lambda: self.passed,
            mono=lambda: self.mono,
        )

    def go(self, seconds: float, *, drift: float = 0.0) -> None:
        self.passed += seconds
        self.mono += seconds
        self.system += seconds + drift


def test_wall_is_utc_milliseconds_and_advances_with_the_world() -> None:
    world = World()
    clock = world.clock()
    assert clock.now() == (7.0, 1_000_000_000)
    world.go(1.5)
    assert clock.now() == (8.5, 1_000_001_500)


def test_a_system_clock_that_is_set_changes_nothing() -> None:
    world = World()
    clock = world.clock()
    for jump in (24 * HOUR, -48 * HOUR):
        before = clock.now().wall
        world.go(60.0, drift=jump)
        assert clock.now().wall == before + 60_000


def test_drift_is_followed() -> None:
    world = World()
    clock = world.clock()
    for _ in range(100):
        world.go(DRIFT_S, drift=0.004)
        clock.now()
    assert abs(clock.now().wall - world.system * 1000) <= 4


def test_drift_backwards_stands_still_and_never_goes_back() -> None:
    world = World()
    clock = world.clock()
    last = clock.now().wall
    world.go(DRIFT_S, drift=-DRIFT_MS / 1000)
    for _ in range(1000):
        world.go(0.001)
        now = clock.now().wall
        assert now >= last
        last = now
    assert last <= world.system * 1000 + 1


def test_it_never_runs_behind_what_the_store_has_seen() -> None:
    world = World()
    ahead = 1_000_000_000 + 3_600_000
    clock = world.clock(last_wall=ahead)
    assert clock.now().wall == ahead
    world.go(2.0)
    assert clock.now().wall == ahead + 2_000


def test_sleep_of_the_machine_counts_for_ttl_but_not_for_leases() -> None:
    world = World()
    clock = world.clock()
    before = clock.now()
    world.passed += HOUR
    world.system += HOUR
    after = clock.now()
    assert after.wall - before.wall == HOUR * 1000
    assert after.mono == before.mono


def test_the_real_clocks_do() -> None:
    clock = Clock()
    first, second = clock.now(), clock.now()
    assert second.mono >= first.mono
    assert second.wall >= first.wall
