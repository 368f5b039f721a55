"""A random world of networks and bridges.

`World(seed)` makes it, `do(n)` does its n-th random thing, `end` lets everything come
to rest; `Watched` knows what must not happen meanwhile.
"""

from __future__ import annotations

import random
from itertools import combinations, pairwise, permutations
from typing import Any, Final

from ipcbus.errors import NameTaken
from ipcbus_bridges.rules import Rules
from tests.bridges.cluster import rules_of
from tests.bridges.terrain import RULES, TOPIC_RULES, any_settings, any_terms
from tests.bridges.watched import Watched
from tests.bridges.wires import Net, Wire
from tests.broker.harness import OPERATOR, draft

AGENTS: Final = ("x", "y")
KINDS: Final = ("inform", "request", "control", "ack")
TOPICS: Final = ("t", "t.u")


class World(Watched):
    """Attributes:
    seed: of all that is random here.
    is_line: networks stand in a row, and mail goes as far as it likes.
    busy: who writes to whom for most of the time.
    """

    def __init__(self, seed: int, **stores: Any) -> None:
        self.seed = seed
        rng = random.Random(f"world {seed}")
        names = "abcde"[: rng.choice((2, 2, 3, 3, 4, 5))]
        settings = {name: any_settings(rng) for name in names}
        super().__init__(*names, seed=seed, settings=settings, **stores)
        self._renamed: set[tuple[str, str]] = set()
        self._kept_in: set[tuple[str, str, str]] = set()
        for name in names:
            self.people(*(f"{agent}@{name}" for agent in AGENTS))
            for agent in AGENTS:
                self.joined[name, agent] = pattern = rng.choice(("**", "t"))
                self.nets[name].call(agent.encode(), "join", pattern)
        self.is_line = rng.random() < 0.4
        pairs = [*combinations(names, 2)]
        pairs = rng.sample(pairs, rng.randint(min(2, len(pairs)), len(pairs)))
        if self.is_line:
            pairs = list(pairwise(names))
        for a, b in pairs:
            self.new_bridge(rng, a, b)
        ways = [*pairs, *((b, a) for a, b in pairs)]
        self.busy = [
            (a, rng.choice(AGENTS), f"{rng.choice(AGENTS)}@{b}")
            for a, b in rng.choices(
                [*permutations(names, 2)] if self.is_line else ways, k=2
            )
        ]
        self.run()

    def __repr__(self) -> str:
        return f"World({self.seed})"

    # --- random things ---------------------------------------------------------------

    def do(self, n: int) -> str:
        """The n-th thing; what it was. Leaving out others does not change it much."""
        rng = random.Random(f"{self.seed} {n}")
        what = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        return f"{n} {what} {getattr(self, f'do_{what}')(rng) or ''}"

    def agent(self, rng: random.Random) -> tuple[Net, str]:
        net = self.nets[rng.choice(list(self.nets))]
        return net, rng.choice(net.agents)

    def wire(self, rng: random.Random) -> Wire:
        return rng.choice(self.wires)

    def new_bridge(self, rng: random.Random, a: str, b: str) -> None:
        rules = self.rules(rng, a, b)
        self.link(a, b, rules)
        self.link(b, a, rules)

    def rules(self, rng: random.Random, a: str, b: str) -> Rules:
        """Some rules; in a line they lead on to those farther away."""
        terms = any_terms(rng)
        if not self.is_line or rng.random() < 0.2:
            return rules_of(a, b, *rng.choice(RULES), terms=terms)
        ways = [f"*@* -> *@{far}" for far in self.nets if far >= b]
        ways += [f"*@{far} <- *@*" for far in self.nets if far <= a]
        texts = [f"{way} transit replies={rng.randint(0, 3)}" for way in ways]
        texts += rng.choice(TOPIC_RULES)
        return rules_of(a, b, *texts, terms=terms._replace(max_hops=8))

    def do_send(self, rng: random.Random) -> str:
        net, agent = self.agent(rng)
        names = [*AGENTS, "x1", "z"]
        to = f"{rng.choice(names)}@{rng.choice(list(self.nets))}"
        where = rng.random()
        if where < 0.6:
            here, agent, to = rng.choice(self.busy)
            net = self.nets[here]
        elif where < 0.8:
            to = f"#{rng.choice(TOPICS)}"
        return self._send(
            rng,
            net,
            agent,
            to,
            kind=rng.choices(KINDS, (6, 6, 1, 1))[0],
            priority=rng.choice((4, 4, 4, 4, 9)),
            flags=rng.choice((0, 0, 0, 2, 6)),
            ttl_ms=rng.choice((None, None, None, None, None, 20_000)),
        )

    def do_reply(self, rng: random.Random) -> str:
        known = [who for who, mail in sorted(self.held.items()) if mail]
        if not known:
            return ""
        network, agent = rng.choice(known)
        mail = rng.choice(list(self.held[network, agent].values())).header
        agent = agent if rng.random() < 0.9 else rng.choice(AGENTS)
        net = self.nets[network]
        return self._send(rng, net, agent, mail.sender, kind="reply", reply_to=mail.id)

    def _send(
        self, rng: random.Random, net: Net, agent: str, to: str, **fields: Any
    ) -> str:
        drafts = []
        for _ in range(rng.choice((1, 1, 2, 5))):
            self._ids += 1
            drafts.append(draft(f"m{self._ids}", to, **fields))
        size = rng.choice((1, 1, 30))
        said = {
            row[0]: row[1] for row in net.send(agent.encode(), *drafts, body="x" * size)
        }
        for at, one in enumerate(drafts):
            if said.get(at, "accepted") in ("accepted", "forwarded"):
                way = (net.network, to.partition("@")[2], agent)
                assert one.kind == "reply" or way not in self._kept_in, one
                self.note_sent(net.network, agent, one)
        ids = " ".join(one.id for one in drafts)
        return f"{agent}@{net.network} -> {to} {ids} {fields} {said}"

    def do_read(self, rng: random.Random) -> str:
        net, agent = self.agent(rng)
        found = net.fetch(agent.encode(), rng.choice((1, 3, 100)))
        return f"{agent}@{net.network} {[mail.header.id for mail in found]}"

    def do_settle(self, rng: random.Random) -> str:
        net, agent = self.agent(rng)
        held = self.held.get((net.network, agent), {})
        if not held:
            return ""
        mail = [
            held.pop(seq) for seq in rng.sample(sorted(held), rng.randint(1, len(held)))
        ]
        receipts = sorted(one.receipt for one in mail)
        peer = agent.encode()
        how = rng.random()
        if how < 0.7:
            stale = net.settle(peer, acks=receipts)
            gone = [one for one in mail if one.receipt[0] not in stale]
            self.note_acked(net.network, agent, gone)
        elif how < 0.85:
            net.settle(peer, releases=receipts)
        else:
            net.settle(peer, nacks=[[*one, 700, None] for one in receipts])
        return f"{agent}@{net.network} {how:.2f} {[m.header.id for m in mail]}"

    def do_late(self, rng: random.Random) -> str:
        """An ack of what was given out again since: it is too late."""
        net, agent = self.agent(rng)
        held = self.held.get((net.network, agent), {})
        late = [
            receipt
            for receipt in self.outdated.pop((net.network, agent), [])
            if receipt[0] in held and held[receipt[0]].receipt != receipt
        ]
        for receipt in late:
            assert net.settle(agent.encode(), acks=[receipt]) == [receipt[0]], receipt
        return f"{agent}@{net.network} {late}"

    def do_step(self, rng: random.Random) -> str:
        count = rng.choice((1, 2, 5, 10))
        for _ in range(count):
            self.step()
        return str(count)

    def do_run(self, rng: random.Random) -> None:
        self.run()

    def do_tick(self, rng: random.Random) -> str:
        seconds = rng.choice((0.5, 0.5, 1.0, 1.0, 1.0, 2.0, 7.0, 16.0, 61.0))
        if seconds > 6 or any(wire.frozen for wire in self.wires):
            self.note_under_way()
        self.advance(seconds)
        return str(seconds)

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

    def do_broker(self, rng: random.Random) -> str:
        self.note_under_way()
        name = rng.choice(list(self.nets))
        self.restart(name, told=rng.random() < 0.7)
        for key in list(self.held):
            if key[0] == name:
                del self.held[key]
        return name

    def do_reload(self, rng: random.Random) -> str:
        wire = self.wire(rng)
        ends = sorted((wire.link.source, wire.link.destination))
        rules = self.rules(rng, *ends)
        for one in self.wires:
            if {one.link.source, one.link.destination} == set(ends):
                one.reload(rules)
        return f"{ends} {rules.link(*ends).says()}"

    def do_rename(self, rng: random.Random) -> str:
        net, agent = self.agent(rng)
        new = rng.choice((agent, f"{agent}1"))
        there = {row[0] for row in net.call(OPERATOR, "agents", 0)[0]}
        if new in there:
            return ""
        try:
            net.call(agent.encode(), "rename", None, new)
        except (AssertionError, NameTaken):
            return "refused"
        self._kept_in = {
            one for one in self._kept_in if one[::2] != (net.network, agent)
        }
        self._renamed.add((net.network, agent))
        return f"{agent}@{net.network} {new}"

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

    def do_dead(self, rng: random.Random) -> str:
        net = self.nets[rng.choice(list(self.nets))]
        letters = net.call(OPERATOR, "dead", 200, 0)[0]
        action = rng.choice(("replay", "drop"))
        for row in letters:
            id_ = row[6].id
            self.replayed |= {id_, f"{id_}@{net.network}"}
        net.call(OPERATOR, action, None)
        return f"{net.network} {action} {len(letters)}"

    # --- the end ---------------------------------------------------------------------

    def end(self) -> None:
        """All is healed and read; then nothing is left, and everything has ended."""
        self.note_under_way()
        self.let_stray()
        for wire in self.wires:
            wire.heal()
        for net in self.nets.values():
            for link in net.call(OPERATOR, "links"):
                net.call(OPERATOR, "steer", link["peer"], "resume")
        for _ in range(60):
            self.advance(7.0)
            for net in self.nets.values():
                for agent in net.agents:
                    self.read(f"{agent}@{net.network}")
            if self.is_at_rest():
                break
        else:
            raise AssertionError("it does not come to rest")
        self.check_ended()


WEIGHTS: Final = {
    "send": 30,
    "reply": 10,
    "read": 10,
    "settle": 10,
    "late": 2,
    "step": 25,
    "run": 8,
    "tick": 8,
    "cut": 3,
    "blink": 5,
    "hold": 6,
    "freeze": 1,
    "heal": 5,
    "kill": 3,
    "stray": 1,
    "twin": 1,
    "broker": 2,
    "reload": 3,
    "rename": 1,
    "steer": 3,
    "grant": 1,
    "dead": 1,
}
