"""A random world of networks and bridges.

`World(seed)` makes it, `do(n)` does its n-th random thing, `end` lets everything come
to rest; `Watched` and what it is made of know what must not happen meanwhile.

    leads      who leads a link, who is believed    grounds        shapes, rules
    comebacks  what comes back, and in its place    doing_mail     agents
    carried    what rules and grants let pass       doing_links    bridges
    watched    who got what, and how it ends        doing_brokers  takeovers
"""

from __future__ import annotations

import random
from typing import Final

from tests.bridges.doing_brokers import BrokerDoings
from tests.bridges.doing_links import LinkDoings
from tests.broker.harness import OPERATOR


class World(LinkDoings, BrokerDoings):
    def __repr__(self) -> str:
        return f"World({self.seed})"

    def do(self, n: int) -> str:
        """The n-th thing; what it was. Leaving out others does not change it much."""
        rng = random.Random(f"{self.seed} {n}")
        what = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        return f"{n} {what} {getattr(self, f'do_{what}')(rng) or ''}"

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

    def end(self) -> None:
        """All is healed and read; then nothing is left, and everything has ended."""
        self.note_under_way()
        self.let_stray()
        rng = random.Random(f"{self.seed} the end")
        for net in self.nets.values():
            if net.sleepers:
                self._wake(rng, net, rng.choice(("read", "send", "ack")))
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
    "resend": 3,
    "read": 10,
    "listen": 6,
    "settle": 12,
    "late": 2,
    "lose": 3,
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
    "rival": 3,
    "jam": 3,
    "forge": 2,
    "broker": 2,
    "usurp": 2,
    "wake": 3,
    "maintain": 1,
    "reload": 3,
    "rename": 1,
    "steer": 3,
    "grant": 1,
    "dead": 1,
}
