"""What comes back to an agent takes its old place: later mail of its sender waits.

Known here is what agents hold and until when, from what was handed to them. What was
given back, refused without a delay, or held by a session or a broker that is gone, or
for too long, is expected again before what its sender wrote later. What was refused
with a delay is not: it asked for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ipcbus.broker.events import Action, Event, Hand, Received
from ipcbus.protocol.messages import Credit, Hello, Settle, Settled
from ipcbus.protocol.pieces import unroll
from tests.bridges.leads import Leads, said_to
from tests.bridges.wires import Net
from tests.broker.harness import Delivered, delivered, key_of

Who = tuple[str, str]
"""Network and agent."""


class Given(NamedTuple):
    """A delivery, and until when (monotonic) it is its receiver's."""

    mail: Delivered
    until: float

    @property
    def stream(self) -> tuple[str, int]:
        return self.mail.header.sender, self.mail.header.priority


class Comebacks(Leads):
    """Attributes:
    held: deliveries that are not settled, by network and agent.
    outdated: receipts of what was delivered again, by network and agent.
    takeovers: brokers that took over, by network.
    """

    def __init__(self, *names: str, **options: Any) -> None:
        self.held: dict[Who, dict[int, Delivered]] = {}
        self.outdated: dict[Who, list[tuple[int, int]]] = {}
        self.takeovers: Counter[str] = Counter()
        self._given: dict[Who, dict[int, Given]] = {}
        self._back: dict[Who, dict[int, Given]] = {}
        self._credit: dict[tuple[str, bytes], tuple[int, float]] = {}
        super().__init__(*names, **options)

    def _hear(self, net: Net, events: Sequence[Event], done: list[Action]) -> None:
        super()._hear(net, events, done)
        for event in events:
            if isinstance(event, Received):
                self._note_asked(net, event, done)
        self._run_out(net)
        for action in done:
            if isinstance(action, Hand):
                agent = action.peer.decode()
                if agent in net.agents:
                    for mail in delivered([action], action.peer):
                        self._note(net, agent, mail)
                    self._check_credit(net, agent)

    def _note_asked(self, net: Net, event: Received, done: list[Action]) -> None:
        """What a session asks for, and what it acks: the next may come with the answer
        to that."""
        peer, _, said = event
        if isinstance(said, Hello):
            self._credit[net.network, peer] = 0, 0.0
        elif isinstance(said, Credit):
            self._credit[net.network, peer] = said.messages, said.lease_ms / 1000
        elif isinstance(said, Settle) and said.acks:
            for answer in said_to(done, peer, Settled):
                acked = {seq for seq, _ in unroll(said.acks)} - {*answer.stale}
                self.note_over((net.network, peer.decode()), sorted(acked))

    def _note(self, net: Net, agent: str, mail: Delivered) -> None:
        """An agent was given this."""
        who, seq = (net.network, agent), mail.receipt[0]
        held = self.held.setdefault(who, {})
        before = held.get(seq)
        if before is not None and before.receipt != mail.receipt:
            self.outdated.setdefault(who, []).append(before.receipt)
        held[seq] = mail
        back = self._back.get(who, {})
        back.pop(seq, None)
        _, lease_s = self._credit[net.network, agent.encode()]
        given = Given(mail, net.mono + lease_s)
        for other, late in back.items():
            expires = late.mail.header.expires_at
            if other < seq and late.stream == given.stream:
                over = expires is not None and expires <= net.wall
                assert over, f"{mail.header.id} has overtaken {late.mail.header.id}"
        self._given.setdefault(who, {})[seq] = given

    def _check_credit(self, net: Net, agent: str) -> None:
        peer = agent.encode()
        number = net.broker._sessions.get(peer).agent  # type: ignore[union-attr]
        leases = net.broker._boxes[number].leases.values()
        count = sum(lease.session is not None for lease in leases)
        most, _ = self._credit[net.network, peer]
        assert count <= most, f"{agent}@{net.network} holds {count} of {most}"

    # --- what comes back -------------------------------------------------------------

    def _run_out(self, net: Net) -> None:
        for agent in net.agents:
            given = self._given.get((net.network, agent))
            if given:
                for seq in [s for s, one in given.items() if one.until <= net.mono]:
                    self._comes_back((net.network, agent), seq)

    def _comes_back(self, who: Who, seq: int, *, counted: bool = True) -> None:
        """`counted`: as one of the attempts that a message has."""
        given = self._given.get(who, {}).pop(seq, None)
        most = self.nets[who[0]].settings.max_attempts
        if given is not None and not (counted and given.mail.receipt[1] >= most):
            self._back.setdefault(who, {})[seq] = given

    def note_refused(self, who: Who, seqs: Sequence[int]) -> None:
        """These were refused without a delay, maybe after a takeover: a receipt is good
        while nobody else was given the message, and so it may be the last refusal."""
        back, most = self._back.get(who, {}), self.nets[who[0]].settings.max_attempts
        for seq in seqs:
            self._comes_back(who, seq)
            if seq in back and back[seq].mail.receipt[1] >= most:
                del back[seq]

    def note_released(self, who: Who, seqs: Sequence[int]) -> None:
        """These are given back, never shown to anybody."""
        for seq in seqs:
            self._comes_back(who, seq, counted=False)

    def note_over(self, who: Who, seqs: Sequence[int]) -> None:
        """These are not expected again, or not in their places."""
        for seq in seqs:
            self._given.get(who, {}).pop(seq, None)
            self._back.get(who, {}).pop(seq, None)

    def note_gone(self, network: str, agent: str = "") -> None:
        """A session is gone, or all of a network."""
        for who, given in self._given.items():
            if who == (network, agent) or (who[0] == network and not agent):
                for seq in list(given):
                    # Nothing is given up because a broker is gone.
                    self._comes_back(who, seq, counted=bool(agent))

    def lose(self, network: str, agent: str) -> None:
        """The session of an agent is lost; it has another at once."""
        net = self.nets[network]
        self.note_gone(network, agent)
        net.lose(agent.encode())
        net.hello(agent.encode(), key_of(agent))

    def restart(self, network: str, *, told: bool = True) -> None:
        self._taken_over(network)
        super().restart(network, told=told)

    def usurp(self, network: str, *, told: bool = True) -> None:
        self._taken_over(network)
        super().usurp(network, told=told)

    def _taken_over(self, network: str) -> None:
        self.takeovers[network] += 1
        self.note_gone(network)
