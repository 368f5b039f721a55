"""Whoever is paused: it is the only one who gets nothing."""

from __future__ import annotations

import pytest

from tests.broker.harness import OPERATOR, Harness, draft

NAMES = ("alice", "bob", "carol")


@pytest.mark.parametrize("paused", NAMES)
def test_to_pause_one_agent_stops_no_other(bus: Harness, paused: str) -> None:
    """Also the first that was ever registered."""
    bus.join_up(*NAMES)
    bus.call(OPERATOR, "pause", paused)
    bus.restart()
    for name in (*NAMES, "operator"):
        bus.hello(name.encode())
    for name in NAMES:
        sender = NAMES[NAMES.index(name) - 1].encode()
        bus.send(sender, draft(f"for-{name}", name))
    got = {name: len(bus.fetch(name.encode())) for name in NAMES}
    assert got == {name: int(name != paused) for name in NAMES}
