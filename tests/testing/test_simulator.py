"""Random histories: the same for the same seed, all of them right, and none that is
wrong is taken for right."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from ipcbus.client.outbox import Outbox
from ipcbus.testing import FakeDisk, MemoryLink, Simulation
from ipcbus.testing.history import LOST
from ipcbus.testing.member import Mail
from ipcbus.testing.simulator import WEIGHTS
from ipcbus.testing.stage import Bridge, Stage, Violated

THINGS = range(60)


def walk(simulation: Simulation, things: Sequence[int] = THINGS) -> list[str]:
    story = [simulation.do(n) for n in things]
    simulation.end()
    simulation.close()
    return story


class Nothing:
    """A bridge that carries nothing, and notes what is done with it."""

    name = "a-b"

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    def step(self, rng: random.Random) -> bool:
        self.done["step"] += 1
        return False

    def tick(self) -> None:
        self.done["tick"] += 1

    def fault(self, rng: random.Random) -> str:
        self.done["fault"] += 1
        return "falls down"

    def heal(self) -> None:
        self.done["heal"] += 1


@pytest.mark.parametrize("seed", range(25))
def test_a_random_history_is_right(seed: int) -> None:
    walk(Simulation(seed))


def test_the_same_seed_is_the_same_history() -> None:
    first, second = Simulation(4), Simulation(4)
    assert walk(first) == walk(second)
    assert first.events == second.events > 50
    assert first.history.seen == second.history.seen
    assert first.history.sent == second.history.sent


def test_things_can_be_left_out() -> None:
    some = [n for n in THINGS if n % 3]
    assert len(walk(Simulation(4), some)) == len(some)
    assert walk(Simulation(4), []) == []


def test_all_that_can_happen_does() -> None:
    done: Counter[str] = Counter()
    for seed in range(25):
        done.update(line.split()[1] for line in walk(Simulation(seed)))
    assert done.keys() == WEIGHTS.keys()


def test_a_bridge_of_the_caller_is_part_of_it() -> None:
    bridge = Nothing()

    def build(stage: Stage, rng: random.Random) -> Sequence[Bridge]:
        return [bridge]

    simulation = Simulation(2, build)
    assert simulation.do_bridge(random.Random(0)) == "a-b falls down"
    simulation.do_tick(random.Random(0))
    simulation.do_step(random.Random(0))
    simulation.end()
    assert bridge.done.keys() == {"step", "tick", "fault", "heal"}


def lying(simulation: Simulation) -> FakeDisk:
    """The disk of its first network, which syncs nothing from now on."""
    disk = next(iter(simulation.brokers.values())).disk
    disk.syncs = False
    return disk


def test_what_a_lying_disk_lost_is_found() -> None:
    simulation = Simulation(0)
    disk = lying(simulation)
    member = simulation.members[0]
    member.send(Mail(member.name, "x", "m1", None))
    simulation.run(random.Random(0))
    simulation.brokers["a"].kill()
    disk.power_cut()
    assert disk.taken > 0
    with pytest.raises(Violated, match="m1@a was accepted for x@a and never") as found:
        simulation.end()
    assert found.value.kind == LOST


def test_a_client_that_forgets_its_sends_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulation = Simulation(0)
    member = simulation.members[0]
    monkeypatch.setattr(Outbox, "lost", lambda outbox: outbox.flying.clear())
    member.send(Mail(member.name, "x", "m1", None))
    member.client.speak()
    monkeypatch.setattr(Outbox, "check_invariants", lambda outbox: None)
    member.client.cut()
    with pytest.raises(Violated, match=r"x was never told of m1") as found:
        simulation.end()
    assert found.value.kind == "unfinished"


def test_mail_that_stays_where_it_is_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(0)
    member = simulation.members[0]
    member.send(Mail(member.name, "x", "m1", None))
    monkeypatch.setattr(MemoryLink, "read", lambda link, lease_ms=0: None)
    with pytest.raises(Violated, match="1 messages still wait in a"):
        simulation.end()


def test_a_problem_of_a_member_is_found_at_once() -> None:
    simulation = Simulation(0)
    simulation.members[0].problems.append("something is wrong")
    with pytest.raises(Violated, match="something is wrong"):
        simulation.do(0)
