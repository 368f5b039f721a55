"""The right to answer: what a message of another network leaves behind with those who
get it, so that their answers need no rule of their own."""

from __future__ import annotations

from ipcbus.broker.batch import Batch
from ipcbus.broker.ends import BOUNCE_KINDS
from ipcbus.broker.links import Link
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.turn import Turn
from ipcbus.protocol.address import BROKER_NAME, arriving, fold
from ipcbus.protocol.limits import MAX_REPLIES
from ipcbus.protocol.messages import Move
from ipcbus.store.base import FOREIGN_ID_MS, Crossings
from ipcbus.store.records import ReplyGrant


class Rights:
    """Grants them as messages come in."""

    def __init__(self, network: str, crossings: Crossings) -> None:
        self._network = network
        self._crossings = crossings

    def grant(
        self, turn: Turn, link: Link, batch: Batch, moves: list[Move], known: set[int]
    ) -> None:
        """To those who got a message of the batch; `known` are the places of those that
        were here before."""
        if not batch.rows:
            return
        first = batch.rows[0].seq  # the rows of a batch are numbered without a gap
        grants: list[ReplyGrant] = []
        for part in batch.parts:
            places = [seq - first for seq in part.columns.seqs]
            move = moves[places[0]]  # those of a part are alike
            if move.kind in BOUNCE_KINDS:
                continue
            requester = arriving(move.sender, link.peer, self._network)
            for replier, left, ms in _repliers(part.box, move):
                same = (replier, requester, link.number, left, turn.now.wall + ms)
                grants += [
                    ReplyGrant(batch.rows[place].id, *same)
                    for place in places
                    if place not in known
                ]
        self._crossings.put_grants(grants)


def _repliers(box: Mailbox, move: Move) -> list[tuple[str, int, int]]:
    """Who may answer a message that went into `box`, how often, for how many ms.

    Brokers farther on may always say what became of it: no rule is for that. They may
    find out last when its ttl has ended, and their word may wait as long as any does.
    """
    found = []
    if box.blocked is not None:
        longest = FOREIGN_ID_MS + (move.ttl_ms or 0)
        found.append((BROKER_NAME, MAX_REPLIES, longest))
    if move.replies and (box.blocked is None or move.to[:1] != "#"):
        replier = str(box.number) if box.blocked is None else fold(move.to)
        found.append((replier, move.replies, move.replies_ms))
    return found
