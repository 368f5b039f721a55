"""A cluster that looks at all that happens, and knows what was promised.

What is wrong is found at once: an id that a mailbox gets twice, mail that overtakes
other mail of its sender, a name or a hop that is not so, mail that no rule carries, an
answer too many; and at the end mail that is neither there nor came back.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from ipcbus.broker.ends import GIVEN_UP
from ipcbus.protocol.messages import ACK, BOUNCE, Draft, Header
from ipcbus.protocol.pieces import unpack_meta
from tests.bridges.carried import Carried, Sent, full
from tests.bridges.wires import Net
from tests.broker.harness import OPERATOR, Delivered

RECEIPTS: Final = {"relayed": 2, "acked": 4}
"""What a receipt tells, and the flag that asks for it."""


class Watched(Carried):
    """Attributes:
    returned: ids that came back to their senders, and how often.
    replayed: dead letters that were sent again, or dropped.
    joined: what each agent of a network reads, as one pattern.
    """

    def __init__(self, *names: str, **options: Any) -> None:
        self.returned: Counter[str] = Counter()
        self.replayed: set[str] = set()
        self._count = 0
        self.joined: dict[tuple[str, str], str] = {}
        self._acked: set[tuple[str, str, str]] = set()
        self._open: dict[tuple[str, str, str], int | None] = {}
        self._copies: list[tuple[str, str, str]] = []
        self._last: dict[tuple[Any, ...], int] = {}
        self._told: list[tuple[str, str, str, str]] = []
        """Network, agent, what was told, and of which id."""
        self._given_up: set[str] = set()
        self._exhausted: set[str] = set()
        """Ids in full of what was given out as often as may be."""
        super().__init__(*names, **options)

    def note_sending(self, network: str, agent: str, one: Draft) -> None:
        """It may be accepted, and be read before its sender hears so."""
        said = (network, agent, one.to, one.kind, one.ttl_ms)
        at = self.nets[network].wall
        self._count += 1
        self.sent[f"{one.id}@{network}"] = Sent(self._count, *said, at, one.flags)

    def note_not_sent(self, network: str, one: Draft) -> None:
        """It was refused."""
        del self.sent[f"{one.id}@{network}"]
        assert not any(at == network and id_ == one.id for at, _, id_ in self.got)

    def note_sent(self, network: str, agent: str, one: Draft) -> None:
        """It was accepted."""
        if one.to[:1] == "#" and one.ttl_ms is None and one.kind != "ack":
            self._copies += [
                (here, reader, one.id)
                for (here, reader), pattern in self.joined.items()
                if (here, pattern) in ((network, "**"), (network, one.to[1:]))
                if reader != agent
            ]

    def note_acked(self, network: str, agent: str, mail: list[Delivered]) -> None:
        """It was, and nobody said that a receipt was stale."""
        self.note_over((network, agent), [one.receipt[0] for one in mail])
        for one in mail:
            self._acked.add((network, agent, one.header.id))
            self._open.pop((network, agent, one.header.id), None)

    def read(self, address: str) -> list[Delivered]:
        found = super().read(address)
        name, _, network = address.partition("@")
        self.note_acked(network, name, found)
        return found

    # --- what agents are given -------------------------------------------------------

    def _note(self, net: Net, agent: str, mail: Delivered) -> None:
        super()._note(net, agent, mail)
        header, here = mail.header, net.network
        self._note_state(net, agent, mail)
        first = (here, agent, header.id) not in self.got
        seq = self.got.setdefault((here, agent, header.id), mail.receipt[0])
        assert seq == mail.receipt[0], f"{header.id} is twice in {agent}@{here}"
        if header.to[:1] == "#":
            pattern = self.joined[here, agent]
            assert pattern in ("**", header.to[1:]), f"{agent} has not joined: {header}"
        hops = [hop.partition("/")[0] for hop in header.hops or ()]
        self._check_header(here, header, hops)
        if first and header.sender.partition("@")[0] == "ipcbus":
            self._note_told(here, agent, header)
        sent = self.sent.get(full(header.id, here))
        if sent is None:
            assert header.sender.partition("@")[0] == "ipcbus", header
            return
        self._check_ttl(header, sent)
        if first and header.id not in self.replayed | self.unordered:
            stream = (header.sender, sent.to, here, agent, header.priority, *hops)
            assert sent.n > self._last.get(stream, 0), f"{header.id} was overtaken"
            self._last[stream] = sent.n

    def _check_header(self, here: str, header: Header, hops: list[str]) -> None:
        assert len(set(hops)) == len(hops) < len(self.nets), header
        assert here not in hops, header
        name, at, network = header.sender.partition("@")
        assert (name and at and network == hops[0]) if hops else not at, header
        assert header.trust in (["foreign"] if hops else ["local", "broker"]), header
        assert (header.trust == "broker") == (header.sender == "ipcbus"), header
        if hops:
            self.came.setdefault((here, header.id), header.accepted_at)

    def _check_ttl(self, header: Header, sent: Sent) -> None:
        """It has the ttl that its sender gave it, and on its way no more than that."""
        assert (header.expires_at is None) == (sent.ttl_ms is None), (header, sent)
        if header.expires_at is not None and sent.ttl_ms is not None:
            left = header.expires_at - header.accepted_at
            assert left <= sent.ttl_ms, f"{header.id} lives longer: {header}"

    def _note_told(self, here: str, agent: str, header: Header) -> None:
        """The broker tells an agent what became of its mail."""
        if header.reply_to is None:
            return
        id_ = full(header.reply_to, here)
        data = unpack_meta(header.meta).data
        if header.kind == BOUNCE:
            self.returned[id_] += 1
            self._told.append((here, agent, BOUNCE, id_))
            if data["status"] == GIVEN_UP:
                self._given_up.add(id_)
        elif header.kind == ACK:
            self._told.append((here, agent, data["event"], id_))

    def _note_state(self, net: Net, agent: str, mail: Delivered) -> None:
        """It was given out: perhaps again, but neither acked nor expired."""
        header, here = mail.header, net.network
        key = (here, agent, header.id)
        assert key not in self._acked, f"{header.id} was acked and comes again"
        assert header.expires_at is None or net.wall < header.expires_at, header
        attempt, most = mail.receipt[1], net.settings.max_attempts
        # A takeover while the last attempt is held is nobody's refusal.
        last = most + self.takeovers[here]
        assert attempt <= last, f"{header.id} is given out the {attempt}th time"
        if attempt >= most:
            self._exhausted.add(full(header.id, here))
        self._open[key] = header.expires_at
        if header.kind == BOUNCE:
            about = self.sent.get(full(str(header.reply_to), here))
            assert about is None or about.kind != "ack", f"an ack bounced: {header}"

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
        self._check_open()
        for told in self._told:
            self._check_told(*told)

    def _check_open(self) -> None:
        """What agents were given they have acked, unless it has ended otherwise."""
        buried = {
            (network, row[6].id)
            for network, net in self.nets.items()
            for row in net.call(OPERATOR, "dead", 200, 0)[0]
        }
        for (network, agent, id_), expires in self._open.items():
            again = {id_, full(id_, network)} & self.replayed
            dead = (network, id_) in buried and full(id_, network) in self._exhausted
            said = f"{id_} was never acked by {agent}@{network}"
            assert expires or again or dead, said

    def _check_told(self, network: str, agent: str, what: str, id_: str) -> None:
        """It was about mail of this agent, and true."""
        sent = self.sent.get(id_)
        assert sent is not None, f"{agent}@{network} is told of {id_}, which is not"
        assert (network, agent) == (sent.network, sent.agent), (network, agent, sent)
        if what == BOUNCE:
            return
        assert sent.flags & RECEIPTS[what], f"nobody asked for {what} of {id_}: {sent}"
        acked = any(full(one, at) == id_ for at, _, one in self._acked)
        assert what != "acked" or acked, f"{id_} is told as acked: {sent}"

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
        if id_ in self._given_up:
            assert id_ in self._exhausted, f"{id_} was given up too soon: {sent}"
        elif sent.ttl_ms is None and id_ not in self.uncertain:
            assert not (there and back), f"{id_} is there and came back: {sent}"
