"""A line between the bridge and one of its networks that breaks, swallows, delays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from ipcbus.client.invitations import invite, join_network
from tests.bridges.faults.neighbours import Pair, Traffic, ends_well, pair
from tests.bridges.proxy import DOWN, UP, Proxy, proxy
from tests.bridges.town import (
    BACK,
    DEV,
    PROD,
    THERE,
    Bridge,
    Home,
    bridge,
    new_home,
    passes,
)
from tests.faults.crew import serving

HEALED_S = 5.0
"""Within which mail flows again after a line is whole."""

pytestmark = pytest.mark.chaos


class Line(NamedTuple):
    """dev is at home where the bridge runs; prod is behind the proxy."""

    near: Home
    far: Home
    proxy: Proxy
    bridge: Bridge
    people: Pair

    def ends_well(self) -> None:
        ends_well(self.people, (self.near, DEV), (self.far, PROD))

    def is_noticed(self) -> None:
        """The bridge says of both links that an end is lost."""
        for way in (THERE, BACK):
            self.bridge.says(way, "backoff")


@pytest.fixture
def line(tmp_path: Path, _nothing_is_left_behind: None) -> Iterator[Line]:
    with new_home() as near, new_home() as far:
        near.start(near.network(DEV))
        prod = far.network(PROD)
        far.start(prod)
        with proxy(serving(prod).endpoint) as between:
            with far.inside(), ipcbus.connect(PROD, agent="") as owner:
                invitation = invite(owner, f"@{DEV}", endpoint=between.endpoint)
            with near.inside():
                join_network(invitation)
            with bridge(near, tmp_path) as spans, pair(near, far) as people:
                spans.runs()
                yield Line(near, far, between, spans, people)


def test_a_line_that_breaks_again_and_again_loses_nothing(
    line: Line, show: Callable[[str], None]
) -> None:
    with Traffic(line.people) as traffic:
        for _ in range(10):
            traffic.advance(50)
            line.proxy.cut(refuse=False)
        traffic.advance(50)
        traffic.stop()
    line.ends_well()


def test_mail_flows_soon_after_a_line_that_was_cut_is_whole(
    line: Line, show: Callable[[str], None]
) -> None:
    with Traffic(line.people) as traffic:
        traffic.advance(50)
        line.proxy.cut()
        line.is_noticed()
        passes(3)
        took = _heal(line, traffic)
    show(f"a line cut for 3 s: mail {took:.1f} s after it was whole")
    assert took < HEALED_S


@pytest.mark.slow
@pytest.mark.parametrize("ways", [(DOWN,), (UP,), (UP, DOWN)])
def test_mail_flows_soon_after_a_line_that_swallowed_all_is_whole(
    line: Line, ways: tuple[str, ...], show: Callable[[str], None]
) -> None:
    with Traffic(line.people) as traffic:
        traffic.advance(50)
        line.proxy.swallow(*ways)
        line.is_noticed()
        took = _heal(line, traffic)
    show(f"nothing passed {' and '.join(ways)}: mail {took:.1f} s after it did")
    assert took < HEALED_S


def test_a_line_that_swallows_for_less_than_a_session_lasts_loses_nothing(
    line: Line,
) -> None:
    with Traffic(line.people) as traffic:
        for way in (UP, DOWN):
            traffic.advance(50)
            line.proxy.swallow(way)
            passes(1)
            line.proxy.heal()
        traffic.advance(50)
        traffic.stop()
    line.ends_well()


def test_a_slow_line_carries_as_much_in_both_directions(line: Line) -> None:
    line.proxy.delay(0.2)
    line.people.submit(2000)
    line.ends_well()


def _heal(line: Line, traffic: Traffic) -> float:
    """Seconds from the healing to the first message of each direction."""
    line.proxy.heal()
    began = time.monotonic()
    traffic.advance(1)
    took = time.monotonic() - began
    traffic.stop()
    line.ends_well()
    return took
