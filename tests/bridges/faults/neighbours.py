"""People on both sides of a bridge, who keep a record of what they see.

It goes to the checker of `tests.faults.history`, with every name and id in full
(`alice@dev`): 0 lost, 0 doubled, order kept per sender and recipient.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import ipcbus
from ipcbus.client.pending import Pending
from ipcbus.errors import IpcbusError, NoBroker, TimedOut
from ipcbus.networks import Network
from tests.bridges.town import DEV, PROD, Home
from tests.faults.crew import waiting
from tests.faults.history import (
    FAILED,
    OK,
    STALE,
    UNKNOWN,
    Acked,
    Got,
    Seen,
    Sent,
    violations,
)
from tests.waiting import until

ANSWER_S = 60.0


class Neighbour:
    """An agent of the test's own process, who writes to one of the other network.

    Attributes:
        full: name and network.
        got: full ids of what came.
        poisoned: ids of what was meant not to arrive.
        bounces: id, status and reason of what came back.
    """

    def __init__(self, home: Home, network: str, name: str, peer: str) -> None:
        with home.inside():
            self.client = ipcbus.connect(network, agent=name, timeout=30)
        self.network, self.name, self.peer = network, name, peer
        self.full = f"{name}@{network}"
        self.poisoned: list[str] = []
        self.bounces: list[tuple[str, str, str]] = []
        self.got: set[str] = set()
        self._sent: list[tuple[str, str, Pending[ipcbus.Receipt]]] = []
        self._seen: list[Seen] = []
        self._acks: deque[tuple[str, Pending[None]]] = deque()

    def submit(self, count: int = 1, body: str | bytes = "text", to: str = "") -> None:
        for _ in range(count):
            id_ = f"{self.name}-{len(self._sent) + 1}"
            pending = self.client.submit(to or self.peer, body, id=id_)
            self._sent.append((to or self.peer, id_, pending))

    def poison(self, body: str | bytes = "text", to: str = "") -> None:
        """Send one that is accepted here and shall not be there."""
        self.poisoned.append(f"{self.name}-poison-{len(self.poisoned) + 1}")
        self.client.submit(to or self.peer, body, id=self.poisoned[-1])

    def accepted(self) -> set[str]:
        """Full ids of all that was accepted; waits until that is known of each."""
        return {one.id for one in self.sent() if one.outcome == OK}

    def refusal(self) -> IpcbusError | None:
        """Why the last one was refused; None if it was accepted."""
        pending = self._sent[-1][2]
        assert pending.wait(ANSWER_S)
        return pending.error()

    def sent(self) -> list[Sent]:
        return [
            Sent(self.full, to, f"{id_}@{self.network}", _outcome(pending))
            for to, id_, pending in self._sent
        ]

    def take(self, timeout: float = 0.01) -> None:
        """Receive and ack what is there."""
        while self._acks and self._acks[0][1].done():
            self._acked()
        try:
            found = self.client.receive(256, timeout=timeout)
        except NoBroker:  # for the moment
            return
        for message in found:
            ack = message.ack()
            if message.kind == "bounce":
                data = message.data
                self.bounces.append((data["id"], data["status"], data["reason"]))
                continue
            about = (message.sender, message.id, message.seq, message.attempt)
            self._seen.append(Got(self.full, *about))
            self._acks.append((message.id, ack))
            self.got.add(message.id)

    def _acked(self) -> None:
        id_, ack = self._acks.popleft()
        self._seen.append(Acked(self.full, id_, _ack_outcome(ack)))

    def seen(self) -> list[Seen]:
        """What came, and what became of the acks."""
        while self._acks:
            self._acked()
        return self._seen

    def close(self) -> None:
        self.client.close()


def _outcome(pending: Pending[Any]) -> str:
    try:
        pending.result(ANSWER_S)
    except (TimedOut, NoBroker):
        return UNKNOWN
    except IpcbusError:
        return FAILED
    return OK


def _ack_outcome(pending: Pending[None]) -> str:
    outcome = _outcome(pending)
    return STALE if outcome == FAILED else outcome


class Pair(NamedTuple):
    """Two neighbours who write to each other."""

    alice: Neighbour
    bob: Neighbour

    def submit(self, count: int) -> None:
        for one in self:
            one.submit(count)

    def meet(self, bound: float = 60.0) -> None:
        """Wait until each has got all that was accepted of the other."""
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            wanted = one.accepted()

            def is_there(other: Neighbour = other, wanted: set[str] = wanted) -> bool:
                other.take()
                return wanted <= other.got

            until(is_there, f"all of {one.full} is there", bound)

    def wrongs(self) -> list[str]:
        """Each broken promise as a sentence."""
        sent = [row for one in self for row in one.sent()]
        return violations(sent, [row for one in self for row in one.seen()])


@contextlib.contextmanager
def pair(dev: Home, prod: Home | None = None) -> Iterator[Pair]:
    """alice@dev and bob@prod; nobody takes anything before the test says so."""
    with contextlib.ExitStack() as stack:
        alice = Neighbour(dev, DEV, "alice", "bob@prod")
        stack.callback(alice.close)
        bob = Neighbour(prod or dev, PROD, "bob", "alice@dev")
        stack.callback(bob.close)
        yield Pair(alice, bob)


class Traffic:
    """Both neighbours send and receive all the time, about 500 messages a second each,
    in a thread, until it is stopped."""

    BURST = 5
    PACE_S = 0.005

    def __init__(self, people: Pair) -> None:
        self.people = people
        self._stopping = False
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._stopping:
                for one in self.people:
                    one.submit(self.BURST)
                    one.take(self.PACE_S)
        except BaseException as problem:  # noqa: BLE001 - told where it is waited for
            self._problem = problem

    def advance(self, count: int, bound: float = 30.0) -> None:
        """Wait until each of them has got `count` further messages."""
        for one in self.people:
            goal = len(one.got) + count
            until(
                lambda o=one, g=goal: len(o.got) >= g or self._problem is not None,  # type: ignore[misc]
                f"{one.full} gets {count} more than {goal - count}",
                bound,
            )
            assert self._problem is None, repr(self._problem)

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(ANSWER_S)
        assert self._problem is None, repr(self._problem)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join(ANSWER_S)


def ends_well(people: Pair, *ends: tuple[Home, str]) -> None:
    """All has arrived once and in order, and nothing waits anywhere."""
    people.meet()
    for home, name in ends:
        network = home.network(name)
        until(lambda h=home, n=network: _is_quiet(h, n), f"nothing waits in {name}")  # type: ignore[misc]
    wrongs = people.wrongs()
    assert not wrongs, (len(wrongs), wrongs[:5])


def _is_quiet(home: Home, network: Network) -> bool:
    """Whether no mail waits in any mailbox, those of the links included."""
    with home.inside():
        return waiting(network) == 0
