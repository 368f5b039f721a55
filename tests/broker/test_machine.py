"""Random histories of the core, over both stores, with every invariant after each
step; the two runs must do the same, action for action.

The model knows what a user was promised: what was accepted, what was acked, and
that each message comes in order and ends once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ipcbus.broker.events import Action, Hand, Say
from ipcbus.broker.settings import Settings
from ipcbus.protocol.messages import Answer, Draft, Welcome
from ipcbus.store.base import Store
from ipcbus.store.sqlite import SqliteStore
from tests.broker.harness import OPERATOR, Delivered, Harness, delivered, draft

NAMES = ("alice", "bob", "carol")
PEERS = tuple(f"{name}{mark}".encode() for name in NAMES for mark in ("", "/2"))

SETTINGS = Settings(
    max_attempts=3, mailbox_messages=40, history_ms=3600_000, future_ms=60_000
)


class Twin:
    """The same harness twice: over the store in memory, and over SQLite."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ib-")
        path = Path(self._folder.name) / "bus.db"

        def make() -> Store:
            store: Store = SqliteStore(path, network="dev", ballast=None)
            return store

        def reopen(store: Store) -> Store:
            store.close()
            return make()

        self.one = Harness(SETTINGS)
        self.two = Harness(SETTINGS, make, reopen)

    def do(self, step: Callable[[Harness], Any]) -> Any:
        one, two = step(self.one), step(self.two)
        assert _comparable(one) == _comparable(two)
        return one

    def close(self) -> None:
        self.one.close()
        self.two.close()
        self._folder.cleanup()


def _comparable(value: Any) -> Any:
    """Actions without the figures of the store itself (sizes, versions)."""
    if isinstance(value, list) and all(isinstance(v, Say | Hand) for v in value):
        return [_nameless(v) for v in value if not _is_status(v)]
    return value


def _nameless(action: Action) -> Action:
    """Without the network's id, which each store makes by itself."""
    if isinstance(action, Say) and isinstance(action.message, Welcome):
        return action._replace(message=action.message._replace(network_id=""))
    return action


def _is_status(action: Action) -> bool:
    return (
        isinstance(action, Say)
        and isinstance(action.message, Answer)
        and isinstance(action.message.value, dict)
    )


class Core(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin()
        self.count = 0
        self.alive: set[bytes] = set()
        self.accepted: dict[str, str] = {}
        """id -> recipient name."""
        self.ended: set[tuple[str, bytes]] = set()
        """(id, recipient) of what was acked."""
        self.held: dict[bytes, dict[int, Delivered]] = {}
        self.first_seen: dict[tuple[str, str, int], int] = {}
        """(sender, recipient, priority) -> highest seq delivered for the first time."""
        self.shown: set[tuple[str, int]] = set()
        """(recipient, seq) of every delivery, also of those that were released."""
        self.ids: dict[int, str] = {}

    @initialize()
    def begin(self) -> None:
        self.twin.do(lambda bus: bus.join_up(*NAMES))
        self.alive = {name.encode() for name in NAMES}

    # --- steps -------------------------------------------------------------

    @rule(
        sender=st.sampled_from(NAMES),
        to=st.sampled_from(NAMES),
        size=st.integers(1, 4),
        priority=st.sampled_from((0, 4, 4, 4, 9)),
        ttl_ms=st.sampled_from((None, None, None, 1500)),
    )
    def send(
        self, sender: str, to: str, size: int, priority: int, ttl_ms: int | None
    ) -> None:
        peer = self._any_peer(sender)
        if peer is None:
            return
        ids = [f"m{self.count + n}" for n in range(size)]
        self.count += size
        drafts = [draft(i, to, priority=priority, ttl_ms=ttl_ms) for i in ids]
        exceptions = self._watch(lambda bus: bus.send(peer, *drafts))
        refused = {at for at, outcome, _ in exceptions if outcome != "forwarded"}
        for at, id_ in enumerate(ids):
            if at not in refused:
                self.accepted[id_] = to

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.accepted)))
        for sender in NAMES:
            peer = self._any_peer(sender)
            if peer is not None:
                self._send_again(peer, draft(id_, self.accepted[id_]))

    def _send_again(self, peer: bytes, again: Draft) -> None:
        ((_, outcome, _),) = self._watch(lambda bus: bus.send(peer, again))
        assert outcome in ("accepted", "id_clash")

    @rule(peer=st.sampled_from(PEERS), credit=st.integers(0, 6))
    def credit(self, peer: bytes, credit: int) -> None:
        if peer in self.alive:
            self._watch(lambda bus: bus.credit(peer, credit, lease_s=3))

    @rule(peer=st.sampled_from(PEERS), how=st.integers(0, 5), data=st.data())
    def settle(self, peer: bytes, how: int, data: st.DataObject) -> None:
        held = self.held.get(peer, {})
        if peer not in self.alive or not held:
            return
        seqs = data.draw(st.sets(st.sampled_from(sorted(held)), min_size=1))
        receipts = [held.pop(seq).receipt for seq in sorted(seqs)]
        ids = {seq: self.ids[seq] for seq in seqs}
        if how <= 2:
            stale = self._watch(lambda bus: bus.settle(peer, acks=receipts))
            for seq, id_ in ids.items():
                if seq not in stale:
                    assert (id_, peer.split(b"/")[0]) not in self.ended
                    self.ended.add((id_, peer.split(b"/")[0]))
        elif how == 3:
            self._watch(lambda bus: bus.settle(peer, releases=receipts))
        else:
            delay = 0 if how == 4 else 700
            nacks = [[*receipt, delay, None] for receipt in receipts]
            self._watch(lambda bus: bus.settle(peer, nacks=nacks))

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 2.0)))
    def advance(self, seconds: float) -> None:
        self._watch(lambda bus: bus.advance(seconds))
        self._watch(lambda bus: bus.ping(OPERATOR, *sorted(self.alive)))

    @rule(peer=st.sampled_from(PEERS))
    def connect(self, peer: bytes) -> None:
        self.held.pop(peer, None)
        self._watch(lambda bus: bus.hello(peer))
        self.alive.add(peer)

    @rule(peer=st.sampled_from(PEERS), how=st.sampled_from(("lose", "bye", "keep")))
    def disconnect(self, peer: bytes, how: str) -> None:
        if peer not in self.alive:
            return
        self.alive.discard(peer)
        self.held.pop(peer, None)
        if how == "lose":
            self._watch(lambda bus: bus.lose(peer))
        else:
            self._watch(lambda bus: bus.bye(peer, keep_leases=how == "keep"))

    @rule()
    def takeover(self) -> None:
        self.twin.do(Harness.restart)
        self.alive.clear()
        self.held.clear()
        self.twin.do(lambda bus: bus.hello(OPERATOR))

    @rule(action=st.sampled_from(("replay", "drop")))
    def dead_letters(self, action: str) -> None:
        self._watch(lambda bus: bus.call(OPERATOR, action, None))

    # --- the model ---------------------------------------------------------

    def _any_peer(self, name: str) -> bytes | None:
        mine = [p for p in sorted(self.alive) if p.split(b"/")[0] == name.encode()]
        return mine[0] if mine else None

    def _watch(self, step: Callable[[Harness], Any]) -> Any:
        """Do a step on both, and take note of everything it delivered."""
        seen: list[list[Action]] = []

        def spied(bus: Harness) -> Any:
            actions: list[Action] = []
            plain = bus.turn

            def turn(*events: Any) -> list[Action]:
                done = plain(*events)
                actions.extend(done)
                return done

            bus.turn = turn  # type: ignore[method-assign]
            try:
                return step(bus)
            finally:
                bus.turn = plain  # type: ignore[method-assign]
                seen.append(actions)

        result = self.twin.do(spied)
        assert _comparable(seen[0]) == _comparable(seen[1])
        # Of what comes at once each session has its part in order.
        before = dict(self.first_seen)
        for peer in PEERS:
            so_far = dict(before)
            for one in delivered(seen[0], peer):
                self._note(peer, one, so_far)
        return result

    def _note(
        self, peer: bytes, one: Delivered, so_far: dict[tuple[str, str, int], int]
    ) -> None:
        seq, attempt = one.receipt
        name = peer.split(b"/")[0].decode()
        header = one.header
        self.ids[seq] = header.id
        assert (header.id, name.encode()) not in self.ended, "delivered after its ack"
        if attempt == 1 and (name, seq) not in self.shown:
            stream = (header.sender, name, header.priority)
            assert seq > so_far.get(stream, 0), "out of order"
            so_far[stream] = seq
            self.first_seen[stream] = max(seq, self.first_seen.get(stream, 0))
        self.shown.add((name, seq))
        self.held.setdefault(peer, {})[seq] = one

    @invariant()
    def both_add_up(self) -> None:
        self.twin.one.broker.check_invariants()
        self.twin.two.broker.check_invariants()

    def teardown(self) -> None:
        self.twin.close()


TestCore = Core.TestCase
TestCore.settings = settings(
    max_examples=settings().max_examples // 4,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
