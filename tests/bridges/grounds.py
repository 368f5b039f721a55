"""A random cluster: which networks there are, how they are bridged, and who writes.

Its shapes: any pairs; a line, in which mail goes as far as it likes; and a rho: a tail
that leads into a ring, with rules that send all mail for one network round and round.
"""

from __future__ import annotations

import random
from itertools import combinations, pairwise, permutations
from typing import Any, Final

from ipcbus.protocol.messages import Draft
from ipcbus_bridges.rules import Rules
from tests.bridges.cluster import rules_of
from tests.bridges.terrain import RULES, TOPIC_RULES, any_settings, any_terms
from tests.bridges.watched import Watched
from tests.bridges.wires import Net, Wire

AGENTS: Final = ("x", "y")
RHO: Final = (("a", "e"), ("c", "e"))
"""Who writes to the network that no bridge leads to."""


class Grounds(Watched):
    """Attributes:
    seed: of all that is random here.
    shape: of the bridges.
    busy: who writes to whom for most of the time.
    drafts: what was accepted: network, agent, message and body.
    """

    def __init__(self, seed: int, **stores: Any) -> None:
        self.seed = seed
        rng = random.Random(f"world {seed}")
        self.shape = rng.choices(("any", "line", "rho"), (10, 7, 3))[0]
        self._round = self.shape == "rho" and rng.random() < 0.5  # topics, too
        count = 5 if self.shape == "rho" else rng.choice((2, 2, 3, 3, 4, 5))
        names = "abcde"[:count]
        settings = {name: any_settings(rng) for name in names}
        super().__init__(*names, seed=seed, settings=settings, **stores)
        self.drafts: list[tuple[str, str, Draft, str]] = []
        self._renamed: set[tuple[str, str]] = set()
        self._kept_in: set[tuple[str, str, str]] = set()
        for name in names:
            self.people(*(f"{agent}@{name}" for agent in AGENTS))
            for agent in AGENTS:
                self.joined[name, agent] = pattern = rng.choice(("**", "t"))
                self.nets[name].call(agent.encode(), "join", pattern)
        pairs = self._pairs(rng, names)
        for a, b in pairs:
            self.new_bridge(rng, a, b)
        ways = [*pairs, *((b, a) for a, b in pairs)]
        far = {"any": ways, "line": [*permutations(names, 2)], "rho": RHO}
        self.busy = [
            (a, rng.choice(AGENTS), f"{rng.choice(AGENTS)}@{b}")
            for a, b in rng.choices(far[self.shape], k=2)
        ]
        self.run()

    def _pairs(self, rng: random.Random, names: str) -> list[tuple[str, str]]:
        if self.shape == "line":
            return [*pairwise(names)]
        if self.shape == "rho":
            return [*pairwise("abcd"), ("d", "b")]
        pairs = [*combinations(names, 2)]
        return rng.sample(pairs, rng.randint(min(2, len(pairs)), len(pairs)))

    # --- choices ---------------------------------------------------------------------

    def reader(self, rng: random.Random) -> tuple[Net, str]:
        """Most of the time one that is written to."""
        if rng.random() < 0.4:
            return self.agent(rng)
        _, _, to = rng.choice(self.busy)
        agent, _, network = to.partition("@")
        return self.nets[network], agent

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
        if self.shape == "any" or rng.random() < 0.2:
            return rules_of(a, b, *rng.choice(RULES), terms=terms)
        if self.shape == "rho":
            # Of the ring one bridge was named against its direction when reloaded.
            way = "<-" if (a, b) == ("b", "d") else "->"
            ways = [f"*@* {way} *@e"]
        else:
            ways = [f"*@* -> *@{far}" for far in self.nets if far >= b]
            ways += [f"*@{far} <- *@*" for far in self.nets if far <= a]
        often = f"{rng.randint(0, 3)}{rng.choice(('', '', '/10s'))}"
        texts = [f"{way} transit replies={often}" for way in ways]
        texts += TOPIC_RULES[2] if self._round else rng.choice(TOPIC_RULES)
        return rules_of(a, b, *texts, terms=terms._replace(max_hops=8))
