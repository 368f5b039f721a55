"""Processes that are frozen (SIGSTOP) and wake up again: a broker, a leading bridge."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus import networks
from tests.bridges.faults.neighbours import Traffic, ends_well, pair
from tests.bridges.town import (
    BACK,
    DEV,
    PROD,
    THERE,
    Bridge,
    Home,
    bridge,
    frozen,
    link,
    passes,
)
from tests.faults.crew import serving

TAKEOVER_S = 10.0
HEALED_S = 5.0

pytestmark = pytest.mark.chaos


@pytest.mark.slow
def test_mail_outlives_a_destination_that_is_frozen_for_8_s(
    town: Home, tmp_path: Path, show: Callable[[str], None]
) -> None:
    _freeze(town, tmp_path, 8, show)


@pytest.mark.slow
def test_mail_outlives_a_destination_that_is_frozen_for_20_s(
    town: Home, tmp_path: Path, show: Callable[[str], None]
) -> None:
    _freeze(town, tmp_path, 20, show)


def _freeze(
    town: Home, folder: Path, seconds: float, show: Callable[[str], None]
) -> None:
    prod = networks.find(PROD)
    with bridge(town, folder) as spans, pair(town) as people, Traffic(people) as all_:
        spans.runs()
        all_.advance(100)
        info = serving(prod)
        with frozen(info.pid):
            passes(seconds)
        healed = time.monotonic()
        all_.advance(1)
        took = time.monotonic() - healed
        all_.advance(100)
        all_.stop()
        ends_well(people, (town, DEV), (town, PROD))
        assert serving(prod).pid == info.pid, "nobody took over from a live broker"
    show(f"frozen for {seconds} s: the first messages {took:.1f} s after it woke")
    assert took < HEALED_S


def test_the_twin_of_a_frozen_bridge_leads_and_the_woken_one_is_fenced(
    town: Home, tmp_path: Path, show: Callable[[str], None]
) -> None:
    with bridge(town, tmp_path) as first, pair(town) as people:
        first.runs()
        with bridge(town, tmp_path) as second, Traffic(people) as all_:
            second.says(THERE, "standby")
            second.says(BACK, "standby")
            all_.advance(100)
            before = [link(town, *ends)["epoch"] for ends in _WAYS]
            with frozen(first.pid):
                took = _takeover(second)
                all_.advance(200)
            first.says(THERE, "standby")
            first.says(BACK, "standby")
            all_.advance(100)
            all_.stop()
            ends_well(people, (town, DEV), (town, PROD))
            assert second.state(THERE) == second.state(BACK) == "running"
            after = [link(town, *ends)["epoch"] for ends in _WAYS]
    show(f"a frozen bridge: its twin leads both links after {took:.1f} s")
    assert took < TAKEOVER_S
    assert all(now > then for then, now in zip(before, after, strict=True))


_WAYS = ((DEV, PROD), (PROD, DEV))


def _takeover(twin: Bridge) -> float:
    """Seconds until it leads both links."""
    began = time.monotonic()
    twin.runs()
    return time.monotonic() - began
