"""Random histories of whole networks, on a clock that is not real.

    simulation = Simulation(17)
    for n in range(100):
        print(simulation.do(n))
    simulation.end()

A seed makes networks with members and, if the caller hands them in, bridges. `do(n)`
does its n-th random thing: a member sends, reads, settles, waits no longer, dies and
comes back; frames move, or are held up, or are lost with their connection; a broker is
killed between any two actions, or fenced, and another takes over; its disk fails, fills
up, or loses power; time passes. Every invariant of a core is checked after each of its
turns.

`end` heals all and lets it come to rest. Then whoever asked must have an answer, no
mail may wait, and the history must not contain what was lost, made up, stored or acked
twice, or overtaken. What is wrong raises `AssertionError`.

Each thing draws its own chance from the seed and its number: so most of a history
stays as it is when others are left out, and a failing one can be made short.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from ipcbus.broker.settings import DAY, Settings
from ipcbus.testing.broker import BEFORE_COMMIT
from ipcbus.testing.disk import Fault
from ipcbus.testing.member import Mail, Member
from ipcbus.testing.stage import Bridge, Stage, StageBroker, Violated

PEOPLE: Final = ("x", "y", "z")


class Simulation(Stage):
    """Attributes:
    seed: of all that is random here.
    busy: who writes to whom most of the time.

    Args:
        bridges: makes those of the networks that there are.
    """

    def __init__(
        self,
        seed: int,
        bridges: Callable[[Stage, random.Random], Sequence[Bridge]] | None = None,
    ) -> None:
        super().__init__()
        self.seed = seed
        self._sent = 0
        rng = _chance(f"simulation {seed}")
        for name in "abc"[: rng.choice((1, 2, 2, 3) if bridges else (1, 1, 2))]:
            self.network(name, any_settings(rng), *PEOPLE[: rng.choice((2, 2, 3))])
        if bridges is not None:
            self.bridges += bridges(self, rng)
        self._far = bool(self.bridges)
        self.busy = [(rng.choice(self.members), self._anybody(rng)) for _ in range(2)]
        self.run(rng)

    def __repr__(self) -> str:
        return f"Simulation({self.seed})"

    @property
    def nets(self) -> list[str]:
        return list(self.brokers)

    def do(self, n: int) -> str:
        """The n-th thing; what it was."""
        rng = _chance(f"{self.seed} {n}")
        what = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        said = getattr(self, f"do_{what}")(rng)
        self.check()
        return f"{n} {what} {said or ''}"

    def end(self) -> None:
        """All is healed and read; then nothing is left, and nothing was lost."""
        self.rest(_chance(f"end {self.seed}"))
        for violation in self.violations():
            raise Violated(violation.kind, violation)

    def close(self) -> None:
        for broker in self.brokers.values():
            broker.core.check_invariants()

    # --- members ---------------------------------------------------------------

    def _member(self, rng: random.Random) -> Member:
        return rng.choice(self.members)

    def _anybody(self, rng: random.Random) -> Member:
        return rng.choice(self.members)

    def do_send(self, rng: random.Random) -> str:
        sender, reader = self._member(rng), self._anybody(rng)
        if rng.random() < 0.6:
            sender, reader = rng.choice(self.busy)
        here, there = sender.broker.network, reader.broker.network
        to = reader.name if here == there else reader.full_name
        if here != there and not self._far:
            to = sender.name
        if rng.random() < 0.03:
            to = "nobody"
        ids = []
        for _ in range(rng.choice((1, 1, 2, 5))):
            self._sent += 1
            key = f"m{self._sent}" if rng.random() < 0.7 else None
            body = "x" * rng.choice((1, 1, 30, 400))
            ttl = rng.choice((None, None, None, None, None, None, 20.0))
            ids.append(sender.send(Mail(to, body, key, ttl)))
        return f"{sender.full_name} -> {to} {' '.join(ids)}"

    def do_read(self, rng: random.Random) -> str:
        member = self._member(rng)
        how = rng.choice((member.read, member.fetch))
        how(rng)
        return f"{member.full_name} {how.__name__}"

    def do_take(self, rng: random.Random) -> str:
        member = self._member(rng)
        member.client.read()
        return f"{member.full_name} {member.take(rng.choice((1, 3, 100)))}"

    def do_settle(self, rng: random.Random) -> str:
        member = self._member(rng)
        return f"{member.full_name} {member.settle(rng)}"

    def do_time_out(self, rng: random.Random) -> str:
        member = self._member(rng)
        return f"{member.full_name} {member.give_up(rng)}"

    def do_die(self, rng: random.Random) -> str:
        """What it has said may still arrive, all or some of it."""
        member = self._member(rng)
        member.client.arrive(rng.choice((0, 0, 1, 10)))
        member.die()
        return member.full_name

    # --- the network -----------------------------------------------------------

    def do_step(self, rng: random.Random) -> str:
        count = rng.choice((1, 5, 10, 30))
        if rng.random() < 0.5:
            self.serve()
        for _ in range(count):
            self.step(rng)
        return str(count)

    def do_run(self, rng: random.Random) -> None:
        """Everything, until nothing moves."""
        self.serve()
        self.run(rng)

    def do_tick(self, rng: random.Random) -> str:
        seconds = rng.choice((0.5, 1.0, 1.0, 2.0, 7.0, 16.0, 61.0))
        self.advance(seconds)
        return f"{seconds:g} s"

    def do_cut(self, rng: random.Random) -> str:
        """With all that is under way but what the client still hears."""
        member = self._member(rng)
        heard, told = rng.choice((0, 0, 1, 3)), rng.random() < 0.7
        member.client.cut(heard=heard, told=told)
        if rng.random() < 0.5:
            self.cut.add(member)
        return f"{member.full_name} hears {heard}, its broker {told}"

    def do_hold(self, rng: random.Random) -> str:
        member = self._member(rng)
        way = rng.choice((self.held_up, self.held_down))
        way.add(member)
        return f"{member.full_name} {'up' if way is self.held_up else 'down'}"

    def do_heal(self, rng: random.Random) -> str:
        """One of those that are cut or held, if any are."""
        ill = self.cut | self.held_up | self.held_down
        healed = [member for member in self.members if member in ill]
        if not healed:
            return ""
        member = rng.choice(healed)
        for held in (self.cut, self.held_up, self.held_down):
            held.discard(member)
        return member.full_name

    def do_bridge(self, rng: random.Random) -> str:
        if not self.bridges:
            return ""
        bridge = rng.choice(self.bridges)
        return f"{bridge.name} {bridge.fault(rng)}"

    # --- brokers and their disks -----------------------------------------------

    def _broker(self, rng: random.Random) -> StageBroker:
        return rng.choice(list(self.brokers.values()))

    def do_kill(self, rng: random.Random) -> str:
        broker = self._broker(rng)
        broker.kill()
        return broker.network

    def do_doom(self, rng: random.Random) -> str:
        """It will be killed in its next turn, at some action of it."""
        broker = self._broker(rng)
        broker.dies_after = rng.choice((BEFORE_COMMIT, 0, 0, 1, 2, 3))
        return f"{broker.network} {broker.dies_after}"

    def do_fence(self, rng: random.Random) -> str:
        """Another has taken it over, and is gone again; it does not know."""
        broker = self._broker(rng)
        broker.disk.usurp()
        return broker.network

    def do_serve(self, rng: random.Random) -> str:
        return " ".join(self.serve())

    def do_power(self, rng: random.Random) -> str:
        broker = self._broker(rng)
        broker.kill()
        broker.disk.power_cut()
        return broker.network

    def do_eio(self, rng: random.Random) -> str:
        broker = self._broker(rng)
        fault = rng.choice(list(Fault))
        broker.disk.fail(fault, rng.randint(1, 8))
        return f"{broker.network} {fault.value}"

    def do_no_room(self, rng: random.Random) -> str:
        """Full in the middle of a turn."""
        broker = self._broker(rng)
        broker.disk.run_out(rng.randint(1, 8))
        return broker.network

    def do_fill(self, rng: random.Random) -> str:
        broker = self._broker(rng)
        broker.disk.fill(rng.choice((0, 0, 3000)))
        return broker.network

    def do_free(self, rng: random.Random) -> str:
        broker = self._broker(rng)
        broker.disk.free()
        return broker.network


WEIGHTS: Final = {
    "send": 30,
    "read": 5,
    "take": 14,
    "settle": 14,
    "step": 30,
    "run": 10,
    "tick": 7,
    "time_out": 2,
    "die": 3,
    "cut": 5,
    "hold": 4,
    "heal": 6,
    "bridge": 4,
    "kill": 1,
    "doom": 3,
    "fence": 1,
    "serve": 3,
    "power": 1,
    "eio": 2,
    "no_room": 1,
    "fill": 3,
    "free": 4,
}


def any_settings(rng: random.Random) -> Settings:
    return Settings(
        max_attempts=rng.choice((3, 5, 10_000)),
        mailbox_messages=rng.choice((12, 10_000, 10_000)),
        history_ms=rng.choice((0, DAY)),
        guard_pair=0,
        guard_thread=0,
    )


def _chance(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret
