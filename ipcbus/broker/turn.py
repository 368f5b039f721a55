"""One turn of the core: what time it is, and what shall be done after the commit.

A `Turn` is made by `Broker.handle`, handed through the parts, and read out at the
end. Actions to one peer keep the order in which they were decided; deliveries to a
peer that follow each other are gathered into one `Hand`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ipcbus.broker.events import Action, Hand, Now, Say
from ipcbus.broker.sessions import Session
from ipcbus.errors import IpcbusError
from ipcbus.protocol.messages import BrokerMessage, Closed


class Turn:
    """Attributes:
    now: the same for all of the turn.
    actions: in the order decided.
    touched: numbers of mailboxes that changed, or whose readers did.
    returned: numbers of mailboxes in which something waits again.
    counted: what to add to the counters.
    granted: answers by grants that the store does not know as used yet.
    """

    __slots__ = (
        "_open",
        "actions",
        "counted",
        "granted",
        "now",
        "returned",
        "touched",
    )

    def __init__(self, now: Now) -> None:
        self.now = now
        self.actions: list[Action] = []
        self.touched: set[int] = set()
        self.returned: set[int] = set()
        self.counted: Counter[str] = Counter()
        self.granted: Counter[tuple[str, str]] = Counter()
        self._open: dict[bytes, Hand] = {}

    def do(self, action: Action) -> None:
        self.actions.append(action)

    def say(self, peer: bytes, message: BrokerMessage) -> None:
        self._open.pop(peer, None)
        self.actions.append(Say(peer, message))

    def close(self, peer: bytes, error: IpcbusError) -> None:
        """Tell a peer that its session is over, and why."""
        self.say(peer, Closed(*error.to_wire()))

    def hand(
        self,
        session: Session,
        seqs: Sequence[int],
        attempt: int,
        headers: Iterable[bytes],
        bodies: Iterable[bytes],
    ) -> None:
        """Deliver messages to a session."""
        hand = self._open.get(session.peer)
        if hand is None:
            hand = Hand(session.peer, [], [], [], [], session.minor)
            self._open[session.peer] = hand
            self.actions.append(hand)
        hand.seqs.extend(seqs)
        hand.attempts.extend([attempt] * len(seqs))
        hand.headers.extend(headers)
        hand.bodies.extend(bodies)
