"""What befalls bridges in a random world."""

from __future__ import annotations

import random
from typing import Final

from ipcbus.broker.events import Received
from ipcbus.protocol.messages import ACCEPTED, DUPLICATE, REFUSED, Accepted, Xfer
from tests.bridges.carried import full
from tests.bridges.doing_mail import MailDoings
from tests.bridges.wires import Wire
from tests.broker.harness import OPERATOR, only

FORGED: Final = b"\x55" * 32
"""The digest of something else."""

FORGED_REF: Final = 1 << 40
"""A hand-over that the link does not know of."""


class LinkDoings(MailDoings):
    def do_cut(self, rng: random.Random) -> str:
        self.note_under_way()
        wire = self.wire(rng)
        ends = rng.choice(((wire.source,), (wire.destination,), wire.ends))
        wire.cut(*ends, told=rng.random() < 0.7)
        return f"{wire.name} {[end.network for end in ends]}"

    def do_blink(self, rng: random.Random) -> str:
        """Lost and there again at once."""
        self.note_under_way()
        wire = self.wire(rng)
        end = rng.choice(wire.ends)
        end.lose(told=rng.random() < 0.7)
        wire.connect()
        return f"{wire.name} {end.network}"

    def do_hold(self, rng: random.Random) -> str:
        wire = self.wire(rng)
        end = rng.choice(wire.ends)
        end.held_up, end.held_down = rng.choice(((True, False), (False, True)))
        return f"{wire.name} {end.network} {end.held_up}"

    def do_freeze(self, rng: random.Random) -> str:
        wire = self.wire(rng)
        wire.frozen = True
        return wire.name

    def do_heal(self, rng: random.Random) -> str:
        wire = self.wire(rng)
        wire.heal()
        return wire.name

    def do_kill(self, rng: random.Random) -> str:
        self.note_under_way()
        wire = self.wire(rng)
        self.kill(wire, told=rng.random() < 0.7, stray=rng.random() < 0.5)
        self.link(wire.link.source, wire.link.destination, wire.rules)
        return wire.name

    def do_stray(self, rng: random.Random) -> None:
        self.let_stray()

    def do_twin(self, rng: random.Random) -> str:
        if len(self.wires) > 3 * len(self.nets) + 4:
            return ""
        wire = self.wire(rng)
        return self.link(wire.link.source, wire.link.destination, wire.rules).name

    def do_rival(self, rng: random.Random) -> str:
        """While one has mail in its hands, another is given the lead, and the first
        hears of that late."""
        wire = self.wire(rng)
        twin = self._twin_of(wire)
        if twin is None:
            return ""
        for _ in range(rng.choice((0, 3, 10))):
            self.step()
        self.note_under_way()
        end = rng.choice(wire.ends)
        end.held_up = True
        net, peer = wire.source.net, wire.link.destination
        net.call(OPERATOR, "steer", peer, "pause")
        net.call(OPERATOR, "steer", peer, "resume")
        twin.heal()
        twin.reload(twin.rules)  # so that it asks for the lead now
        for _ in range(rng.choice((0, 5, 20))):
            self.step()
        end.held_up = rng.random() < 0.3
        return f"{wire.name} {end.network} {twin.name}"

    def do_jam(self, rng: random.Random) -> str:
        """More is written than there is room for; then there is a little, and the link
        begins anew, or it does not, while more comes."""
        here, agent, to = rng.choice(self.busy)
        net, reader = self.nets[here], to.partition("@")[2]
        first = self._send(rng, net, agent, to, count=7, size=rng.choice((1, 600)))
        if rng.random() < 0.5:
            self.run()
        else:  # the rest is in the hands of the link, behind what it has handed over
            for _ in range(rng.choice((1, 2, 4, 8))):
                self.step()
            self._send(rng, net, agent, to, count=2, size=1)
        found = self.nets[reader].fetch(to.partition("@")[0].encode(), 100)
        self._ack(self.nets[reader], to.partition("@")[0], found[: rng.randint(1, 4)])
        ways = [wire for wire in self.wires if wire.link.source == here]
        how = rng.choice(("blink", "later", "now"))
        if how == "blink" and ways:
            self.note_under_way()
            rng.choice(ways).source.lose()
        elif how == "later":
            self.advance(rng.choice((0.5, 1.0)))
        more = self._send(rng, net, agent, to, count=rng.choice((1, 2)), size=1)
        if rng.random() < 0.7:
            self.run()
        return f"{first}; {how}; {more}"

    def _twin_of(self, wire: Wire) -> Wire | None:
        ends = [end.network for end in wire.ends]
        for other in self.wires:
            if other is not wire and [end.network for end in other.ends] == ends:
                return other
        if len(self.wires) > 3 * len(self.nets) + 4:
            return None
        return self.link(ends[0], ends[1], wire.rules)

    def do_forge(self, rng: random.Random) -> str:
        """A bridge hands over once more what it handed over before, or something else
        under its id. `moved` has what a link under this key may say."""
        if not self.moved:
            return ""
        source, there = rng.choice(sorted(self.moved))
        move, net = self.moved[source, there], self.nets[there]
        wires = [w for w in self.wires if w.source.network == source]
        peers = [w.destination.peer for w in wires if w.destination.network == there]
        link = net.broker._links.named(source)
        assert link is not None
        known = net.store.mail.find(full(move.id, source)) is not None
        session = net.broker._sessions.get(peers[0] or b"") if peers else None
        if session is None or not known or not link.row.peer_id:
            return "nobody"
        behind = [hop.partition("/")[0] for hop in move.hops or ()]
        other = there in behind or rng.random() < 0.5
        one = move._replace(digest=FORGED) if other else move
        xfer = Xfer(FORGED_REF, link.row.seen_epoch, [one], [b"another"])
        told = only(net.turn(Received(session.peer, session.key, xfer)), Accepted)
        verdict = told.exceptions[0][1] if told.exceptions else ACCEPTED
        assert verdict == (REFUSED if other else DUPLICATE), (verdict, one)
        return f"{source} {there} {move.id} {'other' if other else ''} {verdict}"

    def do_reload(self, rng: random.Random) -> str:
        wire = self.wire(rng)
        ends = sorted((wire.link.source, wire.link.destination))
        rules = self.rules(rng, *ends)
        for one in self.wires:
            if {one.link.source, one.link.destination} == set(ends):
                one.reload(rules)
        return f"{ends} {rules.link(*ends).says()}"

    def do_steer(self, rng: random.Random) -> str:
        wire = self.wire(rng)
        self.note_under_way()
        things = rng.choice((["pause"], ["resume"], ["pause", "resume"], ["trust"]))
        net, peer = wire.source.net, wire.link.destination
        for action in things:
            net.call(OPERATOR, "steer", peer, action)
        return f"{net.network} {peer} {things}"

    def do_grant(self, rng: random.Random) -> str:
        wire = self.wire(rng)
        net, peer = wire.source.net, wire.link.destination
        way = rng.choice(("in", "out"))
        rules = rng.choice(("", "", "deny y -> *", "allow x -> *\nallow * -> #**"))
        net.call(OPERATOR, "grant", peer, way, rules)
        if way == "out":
            who = (net.network, peer, "y")
            self._kept_in.discard(who)
            if rules[:4] == "deny" and (net.network, "y") not in self._renamed:
                self._kept_in.add(who)
        return f"{net.network} {peer} {way} {rules!r}"
