"""Who has a desk at a server that several clients use, and for how long."""

from __future__ import annotations

import pytest

from ipcbus.doors.mcp.desks import IDLE_S, MOST, ONLY, Desks
from ipcbus.doors.tools import Desk
from ipcbus.errors import BoundExceeded


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desks(clock: Clock) -> Desks:
    """None of them connects until a tool is called."""
    return Desks(["dev"], "model", clock)


def test_a_client_keeps_its_desk_and_shares_it_with_nobody(desks: Desks) -> None:
    one, other = desks.of("session 1"), desks.of("session 2")

    assert isinstance(one, Desk)
    assert one is desks.of("session 1")
    assert one is not other


def test_who_was_silent_for_long_is_gone(desks: Desks, clock: Clock) -> None:
    desks.of("session 1")
    clock.now = IDLE_S / 2
    desks.of("session 2")
    clock.now = IDLE_S + 1
    desks.keep()

    assert not desks.has("session 1")
    assert desks.has("session 2")


def test_the_client_of_stdio_may_be_silent_for_ever(desks: Desks, clock: Clock) -> None:
    desk = desks.of(ONLY)
    clock.now = 100 * IDLE_S
    desks.keep()

    assert desks.of(ONLY) is desk


def test_too_many_clients_are_refused_until_one_leaves(desks: Desks) -> None:
    for number in range(MOST):
        desks.of(f"session {number}")
    with pytest.raises(BoundExceeded) as refused:
        desks.of("session new")
    assert refused.value.limit == MOST

    desks.leave("session 0")
    desks.of("session new")


def test_after_the_end_nobody_has_a_desk(desks: Desks) -> None:
    desks.of("session 1")
    desks.close()

    assert not desks.has("session 1")


def test_what_was_shown_is_held_for_those_who_are_there(
    desks: Desks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Desk] = []
    monkeypatch.setattr(Desk, "hold_on", lambda desk: held.append(desk))
    desks.of("session gone")
    clock.now = IDLE_S + 1
    here = [desks.of("session 1"), desks.of(ONLY)]
    desks.keep()

    assert held == here
