"""The audit trail: what came in, and what happened to several messages at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ipcbus.broker.batch import Batch
from ipcbus.broker.links import IN, Link
from ipcbus.broker.turn import Turn
from ipcbus.protocol.address import arriving
from ipcbus.protocol.messages import ACCEPTED, REFUSED, Move, Xfer
from ipcbus.store.records import Audit

MOST_RUN = 8192
"""Messages of one run."""


def runs_of(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of seqs that follow each other without a gap."""
    first = last = 0
    for seq in sorted(seqs):
        if first and seq == last + 1 and seq - first < MOST_RUN:
            last = seq
            continue
        if first:
            yield first, last
        first = last = seq
    if first:
        yield first, last


def arrivals(
    turn: Turn, link: Link, batch: Batch, moves: list[Move], known: set[int]
) -> list[Audit]:
    """What of a batch came in; `known` are the places of what was here before."""
    by_rule: dict[str, list[int]] = {}
    for place, row in enumerate(batch.rows):
        if place not in known:
            by_rule.setdefault(moves[place].rule, []).append(row.seq)
    turn.counted[f"{link.peer}:in_accepted"] += sum(map(len, by_rule.values()))
    at = (0, turn.now.wall, link.number, IN)
    return [
        Audit(*at, *run, "", "", "", rule, ACCEPTED, "", "")
        for rule, seqs in by_rule.items()
        for run in runs_of(seqs)
    ]


def refusals(
    turn: Turn,
    link: Link,
    network: str,
    xfer: Xfer,
    verdicts: Mapping[int, tuple[str, dict[str, Any]]],
) -> list[Audit]:
    """What of a handover did not come in; counted with all other verdicts."""
    rows = []
    for place, (outcome, facts) in verdicts.items():
        turn.counted[f"{link.peer}:in_{outcome}"] += 1
        if outcome == REFUSED:
            move = xfer.moves[place]
            id_, sender = (
                arriving(text, link.peer, network) for text in (move.id, move.sender)
            )
            who = (id_, sender, move.to)
            why = (move.rule, REFUSED, facts["status"], facts["reason"])
            at = (0, turn.now.wall, link.number, IN)
            rows.append(Audit(*at, 0, 0, *who, *why))
    return rows
