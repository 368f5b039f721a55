"""What links carry: whether rules of now let it pass, and what was granted is kept to.

An answer is granted by the rule that carried what it answers: so many, and for so long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ipcbus.broker.events import Action, Event, Received
from ipcbus.protocol.limits import PRIORITIES
from ipcbus.protocol.messages import (
    FLAG_GRANTED,
    REFUSED,
    Accepted,
    Deliver,
    Move,
    Xfer,
)
from ipcbus.protocol.pieces import unpack_header, unroll
from ipcbus_bridges.actions import HandOver, Settle
from ipcbus_bridges.rules import Facts
from tests.bridges.comebacks import Comebacks
from tests.bridges.leads import said_to
from tests.bridges.wires import Net, Wire
from tests.broker.harness import key_of


class Sent(NamedTuple):
    """A message that its network has accepted; `n` in the order in which it was, and
    `at` its time (UTC ms)."""

    n: int
    network: str
    agent: str
    to: str
    kind: str
    ttl_ms: int | None
    at: int
    flags: int


def full(name: str, network: str) -> str:
    """A name or an id that was said in a network, in full."""
    return name if "@" in name else f"{name}@{network}"


class Carried(Comebacks):
    """Attributes:
    sent: what was accepted, by id in full.
    got: who got what: network, agent and id -> seq there.
    came: when mail of another network came: by network and id in full.
    uncertain: ids that were under way when something was lost: they may be there and
        come back all the same, for nobody heard that they had arrived.
    moved: what was handed over last, by its way.
    unordered: what a link or a network refused. Whoever should have heard of it may be
        lost before, and then it is judged again, by other rules or by a broker that
        took over and has seen less: so it may be let through behind later mail.
    """

    def __init__(self, *names: str, **options: Any) -> None:
        self.sent: dict[str, Sent] = {}
        self.got: dict[tuple[str, str, str], int] = {}
        self.came: dict[tuple[str, str], int] = {}
        self.uncertain: set[str] = set()
        self.unordered: set[str] = set()
        self._granted: dict[tuple[str, str], tuple[int, int]] = {}
        self._answers: dict[tuple[str, str, str], set[str]] = {}
        self._left_ms: dict[tuple[str, str], int] = {}
        self.moved: dict[tuple[str, str], Move] = {}
        self._ways: dict[str, set[str]] = {}
        super().__init__(*names, **options)

    def _hear(self, net: Net, events: Sequence[Event], done: list[Action]) -> None:
        for event in events:
            if isinstance(event, Received) and isinstance(event.message, Xfer):
                self._note_turned_away(event, event.message, done)
        super()._hear(net, events, done)

    def _note_turned_away(
        self, event: Received, said: Xfer, done: list[Action]
    ) -> None:
        source = next(name for name in self.nets if key_of(f"@{name}") == event.key)
        for answer in said_to(done, event.peer, Accepted):
            self.unordered |= {
                full(said.moves[at].id, source)
                for at, outcome, _ in answer.exceptions
                if answer.ref == said.ref and outcome == REFUSED
            }

    def watch(self, wire: Wire, action: Any) -> None:
        if isinstance(action, HandOver):
            for move, body in zip(action.moves, action.bodies, strict=True):
                self.moved[wire.link.source, wire.link.destination] = move
                self._check_handed(wire, move, len(body))
        elif isinstance(action, Settle):
            for outcome, *_, runs in action.groups:
                if outcome == REFUSED:
                    self._note_refused(wire, [seq for seq, _ in unroll(runs)])
        elif isinstance(action, Deliver):
            for header in action.headers:
                if header.expires_at is not None:
                    left = max(1, header.expires_at - wire.now)
                    self._left_ms[wire.link.source, header.id] = left

    def _note_refused(self, wire: Wire, seqs: list[int]) -> None:
        net = wire.source.net
        link = net.broker._links.named(wire.link.destination)
        assert link is not None
        for seq in seqs:
            for rank in range(PRIORITIES):
                waiting = net.store.mail.get(link.box.key(seq, rank))
                if waiting is not None:
                    id_ = unpack_header(waiting.header).id
                    self.unordered.add(full(id_, net.network))

    def _check_handed(self, wire: Wire, move: Move, size: int) -> None:
        """The rules of now carry it, or it answers what came the other way."""
        source, rules = wire.link.source, wire.one_way
        sender = full(move.sender, source)
        granted = bool(move.flags & FLAG_GRANTED)
        hops = len(move.hops or ())
        facts = (sender, move.to, move.kind, move.priority, size)
        said = rules.decide(Facts(*facts, (), hops, granted))
        assert said.carry, (move, said)
        assert move.to != "*"
        if move.ttl_ms is not None:
            left = self._left_ms[source, move.id]
            assert move.ttl_ms <= left, f"{move.id} had {left} ms to live: {move}"
        self._check_way(wire, move, sender)
        if not granted:
            assert hops < rules.max_hops, (move, rules.max_hops)
            denied = [(str(deny.sender), str(deny.to)) for deny in rules.denies]
            assert (sender, move.to) not in denied, move
            self._note_granted(wire, move)
        elif not sender.startswith("ipcbus@"):
            self._check_answer(source, sender, move)

    def _check_way(self, wire: Wire, move: Move, sender: str) -> None:
        """It does not return to where it came from, nor go round for ever."""
        source, destination = wire.link.source, wire.link.destination
        assert sender.partition("@")[2] != destination, f"back to {destination}: {move}"
        if move.to[:1] == "#":
            behind = [hop.partition("/")[0] for hop in move.hops or ()]
            assert destination not in behind, f"{destination} has had it: {move}"
            return
        ways = self._ways.setdefault(full(move.id, source), set())
        ways.add(f"{source} -> {destination}")
        assert len(ways) <= len(self.nets), (move, ways)

    def _note_granted(self, wire: Wire, move: Move) -> None:
        key = wire.link.destination, full(move.id, wire.link.source)
        count, ms = self._granted.get(key, (0, 0))
        self._granted[key] = max(count, move.replies), max(ms, move.replies_ms)

    def _check_answer(self, source: str, sender: str, move: Move) -> None:
        """One of so many, and in time."""
        answered = str(move.reply_to)
        assert "@" in answered, move
        answers = self._answers.setdefault((source, answered, sender), set())
        answers.add(move.id)
        count, ms = self._granted.get((source, answered), (0, 0))
        assert len(answers) <= count, f"{sorted(answers)} answer {answered}: {count}"
        sent = self.sent.get(full(move.id, source))
        came = self.came.get((source, answered))
        if sent is not None and came is not None and sent.network == source:
            about = self.sent.get(answered)
            asked = (source, sent.agent, answered) in self.got
            # Of a topic there may be a copy that was not read yet.
            asked = asked or (about is not None and about.to[:1] == "#")
            assert asked, f"{sent.agent}@{source} was not sent {answered}: {move}"
            assert sent.at < came + ms, f"{move.id} answers after {sent.at - came} ms"

    def note_under_way(self) -> None:
        """What links have in their hands may arrive and nobody hear of it."""
        for net in self.nets.values():
            for link in net.broker._links:
                for seq, lease in link.box.leases.items():
                    waiting = net.store.mail.get(link.box.key(seq, lease.rank))
                    assert waiting is not None
                    id_ = unpack_header(waiting.header).id
                    self.uncertain.add(full(id_, net.network))

    # --- at rest ---------------------------------------------------------------------

    def run(self, *args: Any, **options: Any) -> None:
        super().run(*args, **options)
        for wire in self.wires:
            self._check_hands(wire)

    def _check_hands(self, wire: Wire) -> None:
        """Nothing moves: what a broker has given to a link, the link still has."""
        moving = any(end.up or end.down or end.peer is None for end in wire.ends)
        if moving or wire.frozen or wire.state != "running":
            return
        peer = wire.source.peer
        session = wire.source.net.broker._sessions.get(peer) if peer else None
        if session is not None:
            kept = sum(wire.link._streams.count())
            said = f"{wire.name} has {kept} of {session.held}"
            assert kept == session.held, said
