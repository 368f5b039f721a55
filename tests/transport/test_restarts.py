"""What follows the end of a broker's process."""

from __future__ import annotations

import signal

import pytest

from ipcbus import errors
from ipcbus.transport import restarts
from ipcbus.transport.restarts import Then

CODES = {
    errors.UsageError: Then.GIVE_UP,
    errors.CannotServe: Then.AGAIN,
    errors.PortInUse: Then.AGAIN,
    errors.AlreadyServing: Then.WAIT,
    errors.UnsafeFolder: Then.GIVE_UP,
    errors.NetworkFileSystem: Then.GIVE_UP,
    errors.NewerDatabase: Then.GIVE_UP,
    errors.DamagedDatabase: Then.GIVE_UP,
    errors.StaleFile: Then.GIVE_UP,
    errors.Fenced: Then.WAIT,
    errors.StoreFailed: Then.AGAIN,
    errors.OutOfMemory: Then.AGAIN,
    errors.IpcbusError: Then.AGAIN,
}


@pytest.mark.parametrize(("error", "then"), CODES.items(), ids=lambda x: str(x))
def test_each_way_to_end_has_what_follows(
    error: type[errors.IpcbusError], then: Then
) -> None:
    assert restarts.then(error.exit_code, 1) is then


def test_every_error_of_a_broker_that_cannot_start_is_in_that_table() -> None:
    assert {errors.CannotServe, *errors.CannotServe.__subclasses__()} <= set(CODES)


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGSEGV, -6, 1, 99, 137])
def test_any_other_end_is_followed_by_a_restart_however_often(code: int) -> None:
    assert restarts.then(code, 1) is restarts.then(code, 10_000) is Then.AGAIN


def test_restarts_come_later_each_time_up_to_a_bound_and_are_spread() -> None:
    longest = [restarts.delay(n, 1.0) for n in range(1, 2000)]
    assert longest[0] == restarts.FIRST_S
    assert longest == sorted(longest)
    assert longest[-1] == restarts.MOST_S
    assert restarts.delay(5, 0.0) == restarts.delay(5, 1.0) / 2
