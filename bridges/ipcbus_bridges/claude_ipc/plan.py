"""What of the old server is moved in, and as what. PURE."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from ipcbus_bridges.claude_ipc import names
from ipcbus_bridges.claude_ipc.names import fold, to_agent
from ipcbus_bridges.claude_ipc.olddata import OldData, OldMessage, OldSession

FORWARD_S: Final = 2 * 3600.0
FUTURE_S: Final = 7 * 24 * 3600.0
"""How long the old server forwarded, and kept mail for names that nobody had."""


class Move(NamedTuple):
    """A message on its way: `sender` and `to` are agents. `is_future`: nobody has had
    that name; it waits for whoever takes it."""

    id: str
    sender: str
    to: str
    is_future: bool
    message: OldMessage


class Plan(NamedTuple):
    """Attributes:
    claims: names that become agents and belong to old programs, and when they were seen
        last. Those that were moved in before are not among them.
    kept: old names that agents of the network have already. Mail goes into their
        mailboxes, but old programs cannot take the names.
    renames: agents that are made under the first name and get the second.
    past: messages that were read, between agents that are there afterwards.
    expired: unread messages that the old server would have thrown away.
    unusable: names and unread messages that cannot be moved in.
    """

    claims: dict[str, float]
    kept: list[str]
    renames: list[tuple[str, str]]
    sessions: list[OldSession]
    moves: list[Move]
    past: list[Move]
    expired: int
    unusable: int


def make(
    old: OldData, there: Collection[str], ours: Callable[[str], bool], now: float
) -> Plan:
    """`there`: the agents of the network; `ours`: whether one came from claude-ipc."""
    return _Planning(old, there, ours, now).plan()


class _Planning:
    def __init__(
        self,
        old: OldData,
        there: Collection[str],
        ours: Callable[[str], bool],
        now: float,
    ) -> None:
        self._old = old
        self._there = {fold(name) for name in there}
        self._ours = ours
        self._now = now
        self._unusable = old.unusable
        self._next = {fold(one.old): one.new for one in old.forwards}
        self._known: dict[str, tuple[str, float]] = {}
        for name, seen in old.names.items():
            self._know(name, seen)

    def plan(self) -> Plan:
        moves, expired = self._moves()
        claims, kept = {}, []
        for name, seen in self._known.values():
            agent = fold(to_agent(name))
            if agent not in self._there:
                claims[name] = seen
            elif not self._ours(agent):
                kept.append(name)
        return Plan(
            claims,
            kept,
            self._renames(),
            [
                one._replace(name=self._current(one.name))
                for one in self._old.sessions
                if one.expires > self._now and self._claimable(one.name)
            ],
            moves,
            self._past(),
            expired,
            self._unusable,
        )

    def _know(self, name: str, seen: float) -> bool:
        """Whether `name` can be an agent; then it will be one. Names that differ in
        case alone are one."""
        if not names.is_old(name):
            self._unusable += 1
            return False
        first, last_seen = self._known.get(fold(name), (name, 0.0))
        self._known[fold(name)] = first, max(seen, last_seen)
        return True

    def _current(self, name: str) -> str:
        """The name that an instance has by now."""
        seen: set[str] = set()
        while fold(name) not in self._known and fold(name) in self._next:
            if fold(name) in seen:
                break
            seen.add(fold(name))
            name = self._next[fold(name)]
        return name

    def _claimable(self, name: str) -> bool:
        current = fold(self._current(name))
        agent = fold(to_agent(current))
        return current in self._known and (
            agent not in self._there or self._ours(agent)
        )

    def _renames(self) -> list[tuple[str, str]]:
        """Names that still forward. One hop of each: an agent is renamed once an hour,
        and is only made now."""
        found: dict[str, str] = {}
        for one in self._old.forwards:
            new = self._current(one.new)
            fresh = self._now - one.at < FORWARD_S
            if (
                fresh
                and names.is_old(one.old)
                and fold(new) in self._known
                and not {fold(to_agent(new)), fold(to_agent(one.old))} & self._there
                and fold(one.old) not in self._known
            ):
                found[self._known[fold(new)][0]] = one.old
        return [(old, new) for new, old in found.items()]

    def _moves(self) -> tuple[list[Move], int]:
        moves, expired = [], 0
        for message in self._old.unread:
            sender, to = self._current(message.sender), self._current(message.to)
            if not names.is_old(sender) or not names.is_old(to):
                self._unusable += 1
                continue
            agent = fold(to_agent(to))
            is_future = fold(to) not in self._known and agent not in self._there
            late = message.at is not None and self._now - message.at > FUTURE_S
            if is_future and late:
                expired += 1
                continue
            if fold(sender) not in self._known:
                self._know(sender, 0.0)  # so that it can be answered
            move = Move(
                id_of(message), to_agent(sender), to_agent(to), is_future, message
            )
            moves.append(move)
        # Somebody who wrote later may be who an earlier one was for.
        return [
            move._replace(is_future=move.is_future and not self._is_known(move.to))
            for move in moves
        ], expired

    def _past(self) -> list[Move]:
        """What was read makes nobody an agent who is none otherwise."""
        found = []
        for message in self._old.past:
            sender = to_agent(self._current(message.sender))
            to = to_agent(self._current(message.to))
            if self._will_be_there(sender) and self._will_be_there(to):
                found.append(Move(id_of(message), sender, to, False, message))
        return found

    def _will_be_there(self, agent: str) -> bool:
        return self._is_known(agent) or fold(agent) in self._there

    def _is_known(self, agent: str) -> bool:
        return fold(names.to_old(agent)) in self._known


def id_of(message: OldMessage) -> str:
    """The same for the same row of the same database, whenever it is read."""
    words = (message.sender, message.to, message.sent_at, message.content)
    digest = blake2b("\0".join(words).encode(errors="replace"), digest_size=12)
    return f"claude-ipc-{message.row}-{digest.hexdigest()}"


def by_sender(moves: Iterable[Move]) -> list[list[Move]]:
    """All of one sender, then all of the next. Told in the old order, what agents said
    to each other in weeks would look like two that answer each other without end, and
    be stopped. The network keeps the order of each sender to each recipient, as ever.
    """
    found: dict[str, list[Move]] = {}
    for move in moves:
        found.setdefault(fold(move.sender), []).append(move)
    return list(found.values())
