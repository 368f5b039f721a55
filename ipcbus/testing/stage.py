"""Several networks in one thread, each on a disk that fails, with members and bridges.

Nothing moves but by `step`, `run` and `advance`; whatever moves is decided by the
random numbers that these are given.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from ipcbus.broker.events import Action, Event, Hand, Received, Say
from ipcbus.broker.settings import Settings
from ipcbus.protocol.alike import whole
from ipcbus.protocol.messages import BOUNCE, STATES, Accepted, Ping, Send
from ipcbus.protocol.pieces import unpack_header
from ipcbus.testing.broker import MemoryBroker
from ipcbus.testing.clock import FakeClock
from ipcbus.testing.disk import FakeDisk
from ipcbus.testing.history import History, Violation
from ipcbus.testing.member import Member, in_full, is_notice

MOST_STEPS: Final = 10_000
"""Rounds after which everything must have come to rest."""

MOST_DEAD: Final = 10_000


class Violated(AssertionError):
    """A promise was broken. `kind`: which one."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Bridge(Protocol):
    """What moves mail between networks of a stage; made by whoever has one.

    Its connections are `Line`s in `MemoryBroker.links`: so they are cut when a broker
    dies, and hear what it says to their peers.
    """

    name: str

    def step(self, rng: random.Random) -> bool:
        """Move one thing, any; False if nothing can."""

    def tick(self) -> None:
        """Time has passed."""

    def fault(self, rng: random.Random) -> str:
        """Something bad befalls it; what."""

    def heal(self) -> None:
        """All of it works again."""


class StageBroker(MemoryBroker):
    """Tells the history what it gives out.

    Attributes:
        unordered: ids in full whose order it does not owe to anybody: it has refused
            them (and their sender may not know), or gave them to a session that is dead
            without its knowledge, beside one that is not.
    """

    def __init__(
        self,
        clock: FakeClock,
        network: str,
        settings: Settings,
        disk: FakeDisk,
        history: History,
    ) -> None:
        self.disk = disk
        self.history = history
        self.unordered: set[str] = set()
        super().__init__(clock, network, settings, disk)

    def _decided(self, events: Sequence[Event], actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Say) and isinstance(action.message, Accepted):
                self._note_refused(events, action.peer, action.message)

    def _note_refused(
        self, events: Iterable[Event], peer: bytes, answer: Accepted
    ) -> None:
        if not answer.exceptions:
            return
        for event in events:
            if not isinstance(event, Received) or event.peer != peer:
                continue
            send = event.message
            if isinstance(send, Send) and send.ref == answer.ref:
                drafts = whole(send.drafts)
                self.unordered |= {
                    in_full(drafts[at].id, self.network)
                    for at, outcome, *_ in answer.exceptions
                    if outcome not in STATES
                }

    def _put(self, action: Say | Hand) -> None:
        super()._put(action)
        if isinstance(action, Hand):
            self._note_handed(action)

    def _note_handed(self, hand: Hand) -> None:
        name = hand.peer.partition(b"/")[0].decode()
        if name not in self._keys:
            return  # a bridge
        here, hands = self.network, self.history.hands
        is_dead = all(link.peer != hand.peer for link in self.links)
        for seq, attempt, packed in zip(
            hand.seqs, hand.attempts, hand.headers, strict=True
        ):
            header = unpack_header(packed)
            if not is_notice(header.sender):
                sender, id_ = in_full(header.sender, here), in_full(header.id, here)
                hands(in_full(name, here), sender, id_, seq, attempt)
                if is_dead:
                    self.unordered.add(id_)


class Stage:
    """Attributes:
    brokers: by the name of their network; each has its `disk`.
    held: members whose frames do not move by themselves: up, down.
    cut: members that cannot connect.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.history = History()
        self.brokers: dict[str, StageBroker] = {}
        self.members: list[Member] = []
        self.bridges: list[Bridge] = []
        self.cut: set[Member] = set()
        self.held_up: set[Member] = set()
        self.held_down: set[Member] = set()

    @property
    def events(self) -> int:
        return sum(broker.events for broker in self.brokers.values())

    def network(self, name: str, settings: Settings, *people: str) -> StageBroker:
        """A network of that name, and who is in it."""
        disk = FakeDisk(network=name)
        made = StageBroker(self.clock, name, settings, disk, self.history)
        self.brokers[name] = made
        for one in people:
            self.members.append(Member(made, one, self.history))
        return made

    # --- it moves ------------------------------------------------------------

    def step(self, rng: random.Random) -> bool:
        """Move some frames of one connection, any. False if nothing can move."""
        movers: list[Member | Bridge] = [*self.members, *self.bridges]
        first = rng.randrange(len(movers))
        for mover in (*movers[first:], *movers[:first]):
            if isinstance(mover, Member):
                moved = self._move(mover, rng)
            else:
                moved = mover.step(rng)
            if moved:
                return True
        return False

    def _move(self, member: Member, rng: random.Random) -> bool:
        link = member.client
        if member not in self.cut:
            link.connect()
            if not link.up:
                link.speak()
        can_arrive = bool(link.up) and member not in self.held_up
        can_hear = bool(link.down) and member not in self.held_down
        if can_arrive and (not can_hear or rng.random() < 0.5):
            return link.arrive(rng.choice((1, 1, 3))) > 0
        return can_hear and link.hear()

    def run(self, rng: random.Random) -> None:
        """Let everything through until nothing moves."""
        for _ in range(MOST_STEPS):
            if not self.step(rng) and not self._catch_up():
                return
        raise Violated("restless", f"still talking after {MOST_STEPS} rounds")

    def _catch_up(self) -> bool:
        behind = [one for one in self.brokers.values() if one.wants_turn()]
        for broker in behind:
            broker.turn()
        return bool(behind)

    def advance(self, seconds: float) -> None:
        """Time goes by, at once. Whoever can be heard has said meanwhile that it is
        there."""
        self.clock.advance(seconds)
        for broker in self.brokers.values():
            broker.turn(self._pings(broker))
        for member in self.members:
            member.broker.events += 1
            member.client.tick()
        for bridge in self.bridges:
            bridge.tick()

    def _pings(self, broker: StageBroker) -> list[Event]:
        silent = [member.client for member in self.held_up]
        return [
            Received(link.peer, link.key, Ping(1))
            for link in broker.links
            if link.peer is not None and link not in silent and link.speaks
        ]

    def serve(self) -> list[str]:
        """Who has no broker gets one, as when a client finds none; the networks."""
        dead = [one for one in self.brokers.values() if not one.alive]
        for broker in dead:
            broker.takeover()
        return [broker.network for broker in dead]

    def heal(self) -> None:
        """Nothing is cut, held or broken any more."""
        for broker in self.brokers.values():
            broker.disk.heal()
        self.serve()
        for held in (self.cut, self.held_up, self.held_down):
            held.clear()
        for bridge in self.bridges:
            bridge.heal()

    # --- what must be so -----------------------------------------------------

    def check(self) -> None:
        """After each thing that was done."""
        for member in self.members:
            member.client.tracker.check_invariants()
            if member.problems:
                raise Violated("problem", member.problems[0])

    def rest(self, rng: random.Random, rounds: int = 60) -> None:
        """All is healed and read, until everybody has an answer and nothing waits."""
        self.heal()
        for _ in range(rounds):
            self.run(rng)
            self.serve()
            for member in self.members:
                member.take()
                member.ack_all()
                member.client.read()
            self.run(rng)
            self.check()
            if self.is_at_rest():
                return
            self.advance(7.0)
        raise Violated("unfinished", "; ".join(self.unfinished()))

    def is_at_rest(self) -> bool:
        at_rest = all(member.is_at_rest() for member in self.members)
        return at_rest and not any(
            broker.disk.waiting() for broker in self.brokers.values()
        )

    def unfinished(self) -> list[str]:
        told = [line for member in self.members for line in member.unfinished()]
        told += [
            f"{count} messages still wait in {broker.network}"
            for broker in self.brokers.values()
            if (count := broker.disk.waiting())
        ]
        return told or ["it does not come to rest"]

    def violations(self) -> list[Violation]:
        """What the history must not contain, when all is at rest."""
        elsewhere = {
            (sent.to, sent.id)
            for sent in self.history.sent.values()
            if sent.id in self._ended()
        }
        free = {id_ for one in self.brokers.values() for id_ in one.unordered}
        return self.history.violations(elsewhere, free)

    def _ended(self) -> set[str]:
        """Ids of what came back, and of dead letters."""
        ended = {id_ for member in self.members for id_ in member.returned}
        for network, broker in self.brokers.items():
            for dead in broker.disk.mail.dead(None, 0, MOST_DEAD):
                header = unpack_header(dead.header)
                about = header.reply_to if header.kind == BOUNCE else header.id
                ended.add(in_full(str(about), network))
        return ended
