"""Links: the ways to other networks, as a broker knows them.

A link to network `prod` is an agent called `@prod`, a name that no agent can take. Its
mailbox is the **egress mailbox**: mail for prod waits there, under the same leases,
expiry and dead letters as all mail, until a bridge reports that prod has stored it.
With the same key a bridge hands over what comes from prod.

Several bridges may serve a link; one **leads** it. The lead is asked for, ends with the
session that has it, and each time that it is given the link's `epoch` rises. The other
network refuses what is handed over under a lower epoch than it has seen (`crossing`).

    no leader  --lead-->  led by S, epoch + 1  --S leads again-->  epoch + 1
    led by S   --S is lost, leaves, is paused-->  no leader
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ipcbus.broker import grants
from ipcbus.broker.directory import LINK_MARK, Directory
from ipcbus.broker.grants import GrantRule
from ipcbus.broker.mailbox import Mailbox, Mailboxes
from ipcbus.broker.sessions import Session
from ipcbus.broker.terms import Terms, read_terms
from ipcbus.broker.turn import Turn
from ipcbus.errors import IdentityChanged, InvalidMessage, NotPermitted
from ipcbus.protocol.address import check_name, fold, matches
from ipcbus.protocol.limits import MAX_HOLD_MS
from ipcbus.protocol.messages import BOUNCE, Header
from ipcbus.store.base import FOREIGN_ID_MS, Crossings
from ipcbus.store.records import LinkRow, Snapshot

MARK = LINK_MARK

IN, OUT = "in", "out"

IN_ONLY = -1
"""The epoch of a link over which nobody has ever offered to take mail out."""

MOST_PUBLISHED = 1000
PUBLISHED_S = 60.0
"""How long a list of agents of the other network is good without being told again."""

Stream = tuple[str, str, int]
"""Sender, recipient and rank: what keeps its order."""


class Link:
    """Attributes:
    number: of its agent.
    peer: name of the other network.
    leader: the session that leads the way out; None if nobody does.
    open: some bridge has a key for it.
    told: streams whose senders know that their mail is late; until all has gone.
    late_to: no entry up to this seq needs another look for being late.
    reports: by way, what a bridge said last of itself, and when (UTC ms).
    published: agents of the other network: name, who may see it, who may not.
    """

    def __init__(self, peer: str, row: LinkRow, box: Mailbox, *, is_open: bool) -> None:
        self.peer = peer
        self.row = row
        self.box = box
        self.number = row.agent
        self.open = is_open
        self.leader: Session | None = None
        self.terms = Terms()
        self.grants: dict[str, list[GrantRule]] = {IN: [], OUT: []}
        self.told: set[Stream] = set()
        self.late_to = 0
        self.reports: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self.published: list[tuple[str, list[GrantRule]]] = []
        self.published_at = float("-inf")
        self._holds: list[tuple[GrantRule, int]] = []

    def agree(self, terms: Terms, here: str) -> None:
        """From now on these terms hold."""
        self.terms = terms
        self.box.most = (terms.messages, terms.bytes)
        self.box.blocked = {} if self.box.blocked is None else self.box.blocked
        self._holds = [
            (grants.parse(f"allow {sender} -> {to}", here, self.peer), ms)
            for sender, to, ms in terms.holds
        ]

    def hold_ms(self, sender: str, to: str) -> int:
        """How long a message waits; `sender` in full. A rule that looks at more than
        who writes to whom is for the bridge to judge, so the longest counts here."""
        if not self._holds:  # as of most links; this is asked for every message
            return self.terms.hold_ms
        found = [ms for rule, ms in self._holds if rule.matches(sender, to)]
        return max(found, default=self.terms.hold_ms)

    def drops(self, topic: str) -> bool:
        """Whether the oldest of a topic makes room for the newest."""
        return any(matches(pattern, topic) for pattern in self.terms.drops)

    @property
    def leads_out(self) -> bool:
        """Whether mail for the peer may wait here."""
        return self.open and self.row.epoch != IN_ONLY

    def hop(self) -> str:
        """The other network in a list of hops."""
        return f"{self.peer}/{self.row.peer_id}"

    def passes(self, way: str, sender: str, to: str) -> bool:
        """Whether the owner's grant lets a message through."""
        rules = self.grants[way]
        return not rules or grants.decide(rules, sender, to)[0]


class Links:
    """All links, by the name of the other network and by number."""

    def __init__(
        self,
        network: str,
        snapshot: Snapshot,
        crossings: Crossings,
        directory: Directory,
        boxes: Mailboxes,
    ) -> None:
        self.network = network
        self.network_id = snapshot.network_id
        self.here = f"{network}/{snapshot.network_id}"
        self._crossings = crossings
        self._directory = directory
        self._boxes = boxes
        self._pins = dict(snapshot.pins)
        self._by_number: dict[int, Link] = {}
        self._by_peer: dict[str, Link] = {}
        for row in snapshot.links:
            self._add(row)

    def __iter__(self) -> Iterator[Link]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)

    def get(self, number: int) -> Link | None:
        return self._by_number.get(number)

    def by_number(self, number: int) -> Link:
        return self._by_number[number]

    def peer_of(self, number: int) -> str:
        return self._by_number[number].peer

    def held_until(self, number: int, header: Header, expires: int, wall: int) -> int:
        """When what waits for a bridge expires: no later than the link holds mail. A
        bounce waits as long as any may: nobody would be told that it did not arrive."""
        if header.kind == BOUNCE:
            return wall + MAX_HOLD_MS
        sender = header.sender if header.hops else f"{header.sender}@{self.network}"
        latest = wall + self._by_number[number].hold_ms(sender, header.to)
        return min(expires or latest, latest)

    def of(self, session: Session) -> Link:
        """The link of a bridge's session."""
        return self._by_number[session.agent]

    def named(self, peer: str) -> Link | None:
        return self._by_peer.get(fold(peer))

    def towards(self, network: str) -> Link | None:
        """The link that leads to a network, itself or by one of its routes."""
        link = self._by_peer.get(fold(network))
        if link is not None and link.leads_out:
            return link
        for link in self:
            if link.leads_out and fold(network) in map(fold, link.terms.routes):
                return link
        return None

    def back(self, hops: list[str] | None) -> Link | None:
        """The link by which a message came that has these hops."""
        return self.named(hops[-1].partition("/")[0]) if hops else None

    # --- made and changed ------------------------------------------------------

    def make(self, peer: str, wall: int) -> Link:
        """The link to `peer`, new or known. Raises `InvalidAddress`, `NotPermitted`."""
        # Folded, as ids are told from each other by their letters: `m1@dev` that came
        # by one way must be `m1@dev` by every other.
        peer = fold(check_name(peer))
        if peer == fold(self.network):
            raise NotPermitted(reason="a network has no link to itself")
        known = self.named(peer)
        if known is not None:
            return known
        agent = self._directory.make_link(f"{MARK}{peer}", wall)
        terms = json.dumps(Terms()._asdict())
        row = LinkRow(agent.number, "", IN_ONLY, 0, 0, 0, terms, "{}")
        self._crossings.put_link(row)
        return self._add(row)

    def open_way_out(self, link: Link) -> None:
        """A bridge will take mail to the peer, sooner or later."""
        if link.row.epoch == IN_ONLY:
            self.put(link, epoch=0)

    def _add(self, row: LinkRow) -> Link:
        peer = self._directory.name(row.agent).removeprefix(MARK)
        is_open = bool(self._directory.bridge_keys(row.agent))
        link = Link(peer, row, self._boxes[row.agent], is_open=is_open)
        link.agree(Terms(**json.loads(row.terms)), self.network)
        for way, lines in json.loads(row.grants).items():
            link.grants[way] = self._rules(link, way, lines)
        self._by_number[link.number] = link
        self._by_peer[fold(peer)] = link
        return link

    def put(self, link: Link, **changes: Any) -> None:
        link.row = link.row._replace(**changes)
        self._crossings.put_link(link.row)

    def set_grant(self, link: Link, way: str, lines: list[str]) -> None:
        """Raises `InvalidMessage`."""
        link.grants[way] = self._rules(link, way, lines)
        texts = {way: [r.text for r in rules] for way, rules in link.grants.items()}
        self.put(link, grants=json.dumps(texts))

    def _rules(self, link: Link, way: str, lines: list[str]) -> list[GrantRule]:
        if way not in (IN, OUT):
            raise InvalidMessage(field="grant.way", reason="is in or out")
        ends = (self.network, link.peer)
        return grants.parse_all(lines, *(ends if way == OUT else reversed(ends)))

    # --- who the others are ------------------------------------------------------

    def meet(self, link: Link, network_id: str) -> int:
        """The other network has this id. How long ids of it are known here, in ms.

        Raises `IdentityChanged`, `NotPermitted`, `InvalidMessage`.
        """
        if not network_id or len(network_id) > 16:
            raise InvalidMessage(field="meet.network_id", reason="is no network's id")
        if network_id == self.network_id:
            raise NotPermitted(reason=f"{link.peer} is this network itself")
        if not self.is_known(link.peer, network_id):
            raise IdentityChanged(
                peer=link.peer,
                theirs=network_id,
                ours=self._pins[fold(link.peer)],
            )
        self.pin(link.peer, network_id)
        if link.row.peer_id != network_id:
            self.put(link, peer_id=network_id)
        return FOREIGN_ID_MS

    def is_known(self, name: str, network_id: str) -> bool:
        """Whether a network of this name may have this id."""
        return self._pins.get(fold(name)) in (None, network_id)

    def pin(self, name: str, network_id: str) -> None:
        """A network of this name has this id from now on; the first one stays."""
        if fold(name) not in self._pins:
            self._pins[fold(name)] = network_id
            self._crossings.put_pin(fold(name), network_id)

    def trust(self, link: Link) -> None:
        """Whatever answers to the peer's name next is the peer."""
        self._pins.pop(fold(link.peer), None)
        self._crossings.put_pin(fold(link.peer), "")
        self.put(link, peer_id="", seen_epoch=0)

    # --- who leads -----------------------------------------------------------------

    def lead(self, turn: Turn, session: Session, said: Mapping[str, Any]) -> bool:
        """Give the lead of its link to a session if nobody else has it.

        Raises `InvalidMessage` for terms that are none.
        """
        link = self.of(session)
        terms = read_terms(said)
        if link.leader not in (None, session) or link.row.paused:
            return False
        link.agree(terms, self.network)
        self._join(link)  # it may be refused, and then nobody leads
        link.leader = session
        self.put(link, epoch=link.row.epoch + 1, terms=json.dumps(terms._asdict()))
        # What a former leader put off is tried anew, in the order in which it came.
        assert link.box.blocked is not None
        link.box.blocked.clear()
        self._crossings.wake(link.number)
        link.box.forget()
        turn.touched.add(link.number)
        return True

    def _join(self, link: Link) -> None:
        for pattern in self._directory.joined(link.number):
            if pattern not in link.terms.topics:
                self._directory.leave(link.number, pattern)
        for pattern in link.terms.topics:
            self._directory.join(link.number, pattern)

    def remote(self, link: Link, sender: str, mono: float) -> list[str]:
        """Agents of the other network that `sender` (of here) may know of."""
        if mono - link.published_at > PUBLISHED_S:
            return []
        full = f"{sender}@{self.network}"
        return [
            name
            for name, rules in link.published
            if grants.decide(rules, full, f"{name}@{link.peer}")[0]
            and link.passes(OUT, full, f"{name}@{link.peer}")
        ]

    def near(self, link: Link, sender: str, to: str, mono: float) -> list[str]:
        """Names of the other network that look like the one in `to`."""
        known = {fold(name): name for name in self.remote(link, sender, mono)}
        found = get_close_matches(fold(to.partition("@")[0]), known, n=3)
        return [f"{known[name]}@{link.peer}" for name in found]

    def lost(self, session: Session) -> None:
        """A session of a bridge has ended."""
        link = self._by_number.get(session.agent)
        if link is not None and link.leader is session:
            link.leader = None

    def check_invariants(self) -> None:
        for link in self:
            assert self._directory.name(link.number) == f"{MARK}{link.peer}"
            assert link.box is self._boxes[link.number]
            assert link.leader is None or link.leader.agent == link.number
