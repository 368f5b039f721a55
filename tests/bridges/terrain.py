"""What a random world is made of: the rules, settings and terms that it may have."""

from __future__ import annotations

import random
from typing import Final

from ipcbus.broker.settings import DAY, Settings
from ipcbus_bridges.rules import Terms

RULES: Final = (
    ("* <-> * replies=3",),
    ("* <-> * replies=2",),
    ("* <-> * replies=1",),
    ("* -> * replies=3",),
    ("* <-> * replies=3/10s",),
    ("*@* <-> *@* transit replies=2/10s",),
    ("* <-> * kinds=request,reply replies=1/1h",),
    ("* <-> * replies=0", "!y <-> y"),
    ("* <-> * replies=3/30s rate=2/s per=pair",),
    ("*@* <-> *@* transit replies=2/1h",),
    ("*@* <-> *@* transit replies=0", "*@* -> #t.** transit replies=1"),
    ("x <-> * replies=1", "* -> #t.* replies=1", "*@* <-> *@* transit replies=0"),
    ("*@* -> #** transit replies=2", "#** <- *@* transit replies=2"),
    ("* <-> * replies=3 hold_for=40s max_bytes=20B",),
    ("nobody -> nobody",),
)
TOPIC_RULES: Final = (
    (),
    ("* -> #t replies=1", "#t <- * replies=1"),
    ("*@* -> #** transit replies=1", "#** <- *@* transit replies=0"),
)


def any_settings(rng: random.Random) -> Settings:
    return Settings(
        max_attempts=rng.choice((3, 10_000)),
        mailbox_messages=rng.choice((4, 10_000)),
        mailbox_bytes=rng.choice((2_000, 1 << 30)),
        history_ms=rng.choice((0, DAY)),
        rename_ms=0,
    )


def any_terms(rng: random.Random) -> Terms:
    return Terms(
        hold_ms=rng.choice((60_000, DAY, DAY)),
        warn_ms=rng.choice((5_000, DAY)),
        max_hops=rng.choice((1, 2, 8)),
        messages=rng.choice((8, 50_000)),
    )
