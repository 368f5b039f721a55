"""A cluster that looks at all that happens, and knows what was promised.

What is wrong is found at once: an id that a mailbox gets twice, mail that overtakes
other mail of its sender, a name or a hop that is not so, mail that no rule carries, an
answer too many; and at the end mail that is neither there nor came back.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

from ipcbus.broker.events import Action, Hand
from ipcbus.protocol.limits import PRIORITIES
from ipcbus.protocol.messages import BOUNCE, FLAG_GRANTED, REFUSED, Draft
from ipcbus.protocol.pieces import unpack_header, unroll
from ipcbus_bridges.actions import HandOver, Settle
from ipcbus_bridges.rules import Facts
from tests.bridges.cluster import Cluster
from tests.bridges.wires import Net, Wire
from tests.broker.harness import Delivered, delivered

MOST_REPLIES: Final = 3
"""Answers that any rule of a random world grants."""


class Sent(NamedTuple):
    """A message that its network has accepted; `n` in the order in which it was."""

    n: int
    network: str
    agent: str
    to: str
    kind: str
    ttl_ms: int | None


def full(name: str, network: str) -> str:
    """A name or an id that was said in a network, in full."""
    return name if "@" in name else f"{name}@{network}"


class Watched(Cluster):
    """Attributes:
    sent: what was accepted, by id in full.
    got: who got what: network, agent and id -> seq there.
    returned: ids that came back to their senders, and how often.
    uncertain: ids that were under way when something was lost: they may be there and
        come back all the same, for nobody heard that they had arrived.
    replayed: dead letters that were sent again, or dropped.
    unordered: what a link refused; other rules may let it through if that was lost.
    held: deliveries that are not settled, by network and agent.
    outdated: receipts of what was delivered again, by network and agent.
    joined: what each agent of a network reads, as one pattern.
    """

    def __init__(self, *names: str, **options: Any) -> None:
        self.sent: dict[str, Sent] = {}
        self.got: dict[tuple[str, str, str], int] = {}
        self.returned: Counter[str] = Counter()
        self.uncertain: set[str] = set()
        self.replayed: set[str] = set()
        self.unordered: set[str] = set()
        self.held: dict[tuple[str, str], dict[int, Delivered]] = {}
        self.outdated: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self.joined: dict[tuple[str, str], str] = {}
        self._acked: set[tuple[str, str, str]] = set()
        self._open: dict[tuple[str, str, str], int | None] = {}
        self._copies: list[tuple[str, str, str]] = []
        self._last: dict[tuple[Any, ...], int] = {}
        self._answers: dict[tuple[str, str, str], set[str]] = {}
        self._ways: dict[str, set[str]] = {}
        super().__init__(*names, **options)

    def note_sent(self, network: str, agent: str, one: Draft) -> None:
        """It was accepted."""
        said = (network, agent, one.to, one.kind, one.ttl_ms)
        self.sent[f"{one.id}@{network}"] = Sent(len(self.sent) + 1, *said)
        if one.to[:1] == "#" and one.ttl_ms is None and one.kind != "ack":
            self._copies += [
                (here, reader, one.id)
                for (here, reader), pattern in self.joined.items()
                if (here, pattern) in ((network, "**"), (network, one.to[1:]))
                if reader != agent
            ]

    def note_acked(self, network: str, agent: str, mail: list[Delivered]) -> None:
        """It was, and nobody said that a receipt was stale."""
        for one in mail:
            self._acked.add((network, agent, one.header.id))
            self._open.pop((network, agent, one.header.id), None)

    def read(self, address: str) -> list[Delivered]:
        found = super().read(address)
        name, _, network = address.partition("@")
        self.note_acked(network, name, found)
        return found

    def _hear(self, net: Net, done: list[Action]) -> None:
        super()._hear(net, done)
        agents = [name.encode() for name in net.agents]
        for action in done:
            if isinstance(action, Hand) and action.peer in agents:
                for mail in delivered([action], action.peer):
                    self._note(net, action.peer.decode(), mail)

    def _note(self, net: Net, agent: str, mail: Delivered) -> None:
        header, here = mail.header, net.network
        self._note_state(net, agent, mail)
        first = (here, agent, header.id) not in self.got
        seq = self.got.setdefault((here, agent, header.id), mail.receipt[0])
        assert seq == mail.receipt[0], f"{header.id} is twice in {agent}@{here}"
        hops = [hop.partition("/")[0] for hop in header.hops or ()]
        assert len(set(hops)) == len(hops) < len(self.nets), header
        assert here not in hops, header
        name, at, network = header.sender.partition("@")
        assert (name and at and network == hops[0]) if hops else not at, header
        assert header.trust in (["foreign"] if hops else ["local", "broker"]), header
        if header.kind == BOUNCE and first:
            self.returned[full(str(header.reply_to), here)] += 1
        sent = self.sent.get(full(header.id, here))
        if sent is None:
            assert name == "ipcbus", header
            return
        if first and header.id not in self.replayed | self.unordered:
            stream = (header.sender, sent.to, here, agent, header.priority, *hops)
            assert sent.n > self._last.get(stream, 0), f"{header.id} was overtaken"
            self._last[stream] = sent.n

    def _note_state(self, net: Net, agent: str, mail: Delivered) -> None:
        """It was given out: perhaps again, but neither acked nor expired."""
        header, here = mail.header, net.network
        held = self.held.setdefault((here, agent), {})
        before = held.get(mail.receipt[0])
        if before is not None and before.receipt != mail.receipt:
            self.outdated.setdefault((here, agent), []).append(before.receipt)
        held[mail.receipt[0]] = mail
        key = (here, agent, header.id)
        assert key not in self._acked, f"{header.id} was acked and comes again"
        assert header.expires_at is None or net.wall < header.expires_at, header
        self._open[key] = header.expires_at
        if header.kind == BOUNCE:
            about = self.sent.get(full(str(header.reply_to), here))
            assert about is None or about.kind != "ack", f"an ack bounced: {header}"

    def watch(self, wire: Wire, action: Any) -> None:
        if isinstance(action, HandOver):
            self._check_handed(wire, action)
        elif isinstance(action, Settle):
            for outcome, *_, runs in action.groups:
                if outcome == REFUSED:
                    self._note_refused(wire, [seq for seq, _ in unroll(runs)])

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

    def _check_handed(self, wire: Wire, action: HandOver) -> None:
        """The rules of now carry it, or it answers what came the other way."""
        source, rules = wire.link.source, wire.one_way
        for move, body in zip(action.moves, action.bodies, strict=True):
            sender = full(move.sender, source)
            granted = bool(move.flags & FLAG_GRANTED)
            hops = len(move.hops or ())
            size = (sender, move.to, move.kind, move.priority, len(body))
            said = rules.decide(Facts(*size, (), hops, granted))
            assert said.carry, (move, said)
            assert move.to != "*"
            if not granted:
                assert hops < rules.max_hops, (move, rules.max_hops)
                denied = [(str(deny.sender), str(deny.to)) for deny in rules.denies]
                assert (sender, move.to) not in denied, move
            if move.to[:1] != "#":
                ways = self._ways.setdefault(full(move.id, source), set())
                ways.add(f"{source} -> {wire.link.destination}")
                assert len(ways) <= len(self.nets), (move, ways)
            if granted and not sender.startswith("ipcbus@"):
                key = (source, str(move.reply_to), sender)
                answers = self._answers.setdefault(key, set())
                answers.add(move.id)
                assert "@" in str(move.reply_to), move
                assert len(answers) <= MOST_REPLIES, move

    def note_under_way(self) -> None:
        """What links have in their hands may arrive and nobody hear of it."""
        for net in self.nets.values():
            for link in net.broker._links:
                for seq, lease in link.box.leases.items():
                    waiting = net.store.mail.get(link.box.key(seq, lease.rank))
                    assert waiting is not None
                    id_ = unpack_header(waiting.header).id
                    self.uncertain.add(full(id_, net.network))

    # --- the end ---------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        """Nothing moves, and nothing waits."""
        moving = any(end.up or end.down for wire in self.wires for end in wire.ends)
        return not moving and not any(
            box.messages
            for net in self.nets.values()
            for box in net.broker._boxes.values()
        )

    def check_ended(self) -> None:
        """All mail to one agent is there, or came back."""
        for id_, sent in self.sent.items():
            self._check_ended(id_, sent)
        for network, reader, id_ in self._copies:
            there = (network, reader, id_) in self.got
            back = self.returned[f"{id_}@{network}"]
            assert there or back, f"{reader}@{network} never got {id_}"
        for (network, agent, id_), expires in self._open.items():
            again = {id_, full(id_, network)} & self.replayed
            assert expires or again, f"{id_} was never acked by {agent}@{network}"

    def _check_ended(self, id_: str, sent: Sent) -> None:
        network = sent.to.partition("@")[2] or sent.network
        if sent.to[:1] == "#" or id_ in self.replayed:
            return
        base = id_ if network != sent.network else id_.partition("@")[0]
        there = sum(
            (network, agent, base) in self.got for agent in self.nets[network].agents
        )
        back = self.returned[id_]
        assert there <= 1, f"{id_} is with several"
        if sent.kind == "ack":
            return
        assert there or back, f"{id_} is lost: {sent}"
        if sent.ttl_ms is None and id_ not in self.uncertain:
            assert not (there and back), f"{id_} is there and came back: {sent}"
