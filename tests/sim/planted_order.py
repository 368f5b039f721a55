"""Bugs of order: of what comes back, and of what follows what was put off."""

from __future__ import annotations

from typing import Any

from ipcbus.broker.crossing import Crossing
from ipcbus.broker.delivery import Delivery
from ipcbus_bridges.link import Link
from ipcbus_bridges.streams import Streams
from tests.sim.planting import Bugs

BUGS = Bugs()

LATE_MS = 1500

# --- put off ----------------------------------------------------------------------


def _one_by_one(
    real: Any, crossing: Any, turn: Any, link: Any, xfer: Any, batch: Any
) -> Any:
    """As if no message of a batch knew of those before it."""
    verdicts = {}
    for at in range(len(xfer.moves)):
        one = slice(at, at + 1)
        alone = xfer._replace(moves=xfer.moves[one], bodies=xfer.bodies[one])
        before = len(batch.positions)
        found = real(crossing, turn, link, alone, batch)
        batch.positions[before:] = [at] * (len(batch.positions) - before)
        if found:
            (verdicts[at],) = found.values()
    return verdicts


BUGS.plant(
    "deferred-overtaken-at-destination",
    "what follows a deferred message of its stream is deferred with it",
    (Crossing, "_plan_all", _one_by_one),
)


def _only_itself(real: Any, streams: Any, flown: Any, judged: Any) -> None:
    real(streams, flown, judged._replace(put_off={}))


BUGS.plant(
    "deferred-overtaken-in-bridge",
    "what waits in a bridge behind a deferred message waits with it",
    (Streams, "_free", _only_itself),
)


def _no_delay(real: Any, *args: Any) -> int:
    return 0


BUGS.plant(
    "deferred-overtaken-under-way",
    "what was sent before the source knew of a deferral waits, too",
    (Streams, "delay", _no_delay),
)


def _not_told(real: Any, link: Any, groups: Any, put_off: Any = None) -> None:
    real(link, groups)


BUGS.plant(
    "deferral-not-remembered",
    "a stream waits until the source knows that it is put off",
    (Link, "_settle", _not_told),
)

# --- come back --------------------------------------------------------------------


def _later(word: str) -> Any:
    """What comes back for a reason with this word does so a little later."""

    def instead(
        real: Any,
        delivery: Any,
        turn: Any,
        box: Any,
        seq: int,
        reason: str,
        delay_ms: int = 0,
    ) -> None:
        late = LATE_MS if word in reason else 0
        real(delivery, turn, box, seq, reason, delay_ms or late)

    return instead


for _name, _promise, _word in (
    ("lost", "what a lost session held takes its old place", "lost"),
    ("lease", "what was held for too long takes its old place", "ran out"),
    ("nack", "what was refused takes its old place", "refused"),
):
    BUGS.plant(
        f"redelivery-overtaken-{_name}",
        _promise,
        (Delivery, "_come_back", _later(_word)),
    )


def _released_later(
    real: Any, delivery: Any, turn: Any, box: Any, receipts: Any
) -> Any:
    stale = real(delivery, turn, box, receipts)
    if box.blocked is None:
        for seq, attempt in receipts:
            lease = delivery._held(turn, box, seq, attempt - 1)
            if lease is not None:
                delivery._come_back(turn, box, seq, "given back", LATE_MS)
    return stale


BUGS.plant(
    "redelivery-overtaken-release",
    "what was given back takes its old place",
    (Delivery, "_release", _released_later),
)
