"""Sessions: the live connections, and who speaks on each.

A session begins with HELLO and ends with BYE, a lost peer, silence, revocation, or
another HELLO on the same connection. Who it is follows from the key that the
connection was authenticated with, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TypeVar

from ipcbus.protocol.calls import Role
from ipcbus.protocol.limits import MINOR, PING_S, PINGS_MISSED

_K = TypeVar("_K", str, int)

SILENCE_S = PING_S * PINGS_MISSED


class Session:
    """One live connection.

    Attributes:
        number: never used twice by one broker process.
        agent: number of the agent, 0 for an operator.
        credit, credit_bytes: deliveries it allows itself to hold unacked.
        held, held_bytes: deliveries leased to it now. At most the credit, but for
            awaited replies, reclaimed leases and a credit that was lowered since.
        lease_s: seconds for each lease.
        minor: of the protocol, as its client speaks it.
        awaits: ids whose replies go to this session whatever its credit; the oldest
            first.
        heard: when it last said anything, in monotonic seconds.
        leaving: it ends in this turn without BYE, and is given nothing any more: each
            lease would cost an attempt.
    """

    __slots__ = (
        "agent",
        "awaits",
        "credit",
        "credit_bytes",
        "heard",
        "held",
        "held_bytes",
        "key",
        "lease_s",
        "leaving",
        "leaving",
        "minor",
        "number",
        "peer",
        "program",
        "role",
    )

    def __init__(
        self, number: int, peer: bytes, key: str, role: Role, agent: int, program: str
    ) -> None:
        self.number = number
        self.peer = peer
        self.key = key
        self.role = role
        self.agent = agent
        self.program = program
        self.credit = 0
        self.credit_bytes = 0
        self.held = 0
        self.held_bytes = 0
        self.lease_s = 60.0
        self.minor = MINOR
        self.awaits: dict[str, None] = {}
        self.heard = 0.0
        self.leaving = False

    def has_room(self, size: int) -> bool:
        """Whether a delivery fits its credit; a single one may be of any size."""
        return (
            self.held < self.credit
            and (self.held_bytes + size <= self.credit_bytes or self.held_bytes == 0)
            and not self.leaving
        )

    def fits(self, sizes: Sequence[int]) -> int:
        """How many deliveries, from the first on, fit its credit."""
        within = sizes[: max(0, self.credit - self.held)]
        if self.held_bytes + sum(within) <= self.credit_bytes:
            return len(within)
        held = self.held_bytes
        for count, size in enumerate(within):
            if held and held + size > self.credit_bytes:
                return count
            held += size
        return len(within)

    def take(self, size: int, count: int = 1) -> None:
        """`count` deliveries of `size` bytes together."""
        self.held += count
        self.held_bytes += size

    def give_back(self, size: int, count: int = 1) -> None:
        self.held -= count
        self.held_bytes -= size


class Sessions:
    """All sessions, by peer and by agent."""

    def __init__(self) -> None:
        self._by_peer: dict[bytes, Session] = {}
        self._by_agent: dict[int, list[Session]] = {}
        self._by_key: dict[str, list[Session]] = {}
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._by_peer)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_peer.values())

    def get(self, peer: bytes) -> Session | None:
        return self._by_peer.get(peer)

    def of_agent(self, agent: int) -> list[Session]:
        """Live sessions of an agent, in turn order (see `rotate`)."""
        return self._by_agent.get(agent, [])

    def of_key(self, key: str) -> list[Session]:
        return list(self._by_key.get(key, ()))

    def add(
        self, peer: bytes, key: str, role: Role, agent: int, program: str
    ) -> Session:
        assert peer not in self._by_peer
        self._last_number += 1
        session = Session(self._last_number, peer, key, role, agent, program)
        self._by_peer[peer] = session
        self._by_key.setdefault(key, []).append(session)
        if agent:
            self._by_agent.setdefault(agent, []).append(session)
        return session

    def remove(self, session: Session) -> None:
        del self._by_peer[session.peer]
        _take_out(self._by_key, session.key, session)
        if session.agent:
            _take_out(self._by_agent, session.agent, session)

    def taker(
        self, agent: int, size: int, busy: Container[Session | None] = ()
    ) -> Session | None:
        """A session of `agent` with room for a delivery, and none of the `busy` ones;
        they take turns."""
        mates = self._by_agent.get(agent)
        if mates is None:
            return None
        for at, session in enumerate(mates):
            if session.has_room(size) and session not in busy:
                if len(mates) > 1:
                    mates.append(mates.pop(at))
                return session
        return None

    def only_reader(self, agent: int) -> Session | None:
        """The session of `agent` that gives credit, if no other does."""
        mates = self.of_agent(agent)
        readers = [mate for mate in mates if mate.credit and not mate.leaving]
        return readers[0] if len(readers) == 1 else None

    def any_room(self, agent: int) -> bool:
        """Whether some session of `agent` could take a delivery."""
        return any(mate.has_room(0) for mate in self.of_agent(agent))

    def awaiting(self, agent: int, reply_to: str | None) -> Session | None:
        """The session of `agent` that waits for the reply to a message."""
        if reply_to is None:
            return None
        for session in self._by_agent.get(agent, ()):
            if reply_to in session.awaits and not session.leaving:
                return session
        return None

    def silent(self, mono: float) -> set[bytes]:
        """Peers whose sessions have missed their pings."""
        return {one.peer for one in self if mono - one.heard > SILENCE_S}

    def part(self, peers: Iterable[bytes]) -> None:
        """The sessions of these peers end in this turn."""
        for session in filter(None, map(self.get, peers)):
            session.leaving = True

    def check_invariants(self) -> None:
        listed: Iterable[Session] = (
            session for mates in self._by_agent.values() for session in mates
        )
        assert {id(s) for s in listed} == {id(s) for s in self if s.agent}
        for key, same in self._by_key.items():
            assert same, key
            assert all(session.key == key for session in same)
        assert sum(map(len, self._by_key.values())) == len(self)
        for session in self:
            assert not session.leaving
            assert session.held >= 0
            assert session.held_bytes >= 0


def _take_out(lists: dict[_K, list[Session]], key: _K, session: Session) -> None:
    """No list is left empty."""
    lists[key].remove(session)
    if not lists[key]:
        del lists[key]
