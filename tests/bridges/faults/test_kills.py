"""kill -9 of a bridge and of both brokers, at each step of the handoff.

The crash table of DESIGN.md, section 8, row by row: whatever is killed and wherever,
all that was accepted arrives once and in order, and nothing is left waiting.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.bridges.faults import failpoints
from tests.bridges.faults.failpoints import BRIDGE_STEPS, BROKER_STEPS, arm
from tests.bridges.faults.neighbours import Traffic, ends_well, pair
from tests.bridges.town import BACK, DEV, PROD, THERE, Home, bridge, kill_serving
from tests.faults.crew import alive
from tests.waiting import until

PROGRAM = failpoints.__file__

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 100])
def test_a_bridge_may_be_killed_at_every_step(
    town: Home, tmp_path: Path, count: int
) -> None:
    trigger = tmp_path / "trigger"
    program = (PROGRAM, "bridge", trigger, DEV, PROD)
    with pair(town) as people:
        for step in BRIDGE_STEPS:
            for way in (THERE, BACK):
                with bridge(town, tmp_path, *program) as dying:
                    dying.runs(THERE, BACK)
                    people.meet()
                    assert people.wrongs() == [], f"before {step}, {way}"
                    arm(trigger, step, way)
                    people.submit(count)
                    dying.dies()
                    trigger.unlink()
        with bridge(town, tmp_path):
            ends_well(people, (town, DEV), (town, PROD))


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 100])
def test_a_broker_may_be_killed_around_each_commit_of_the_handoff(
    town: Home, tmp_path: Path, count: int
) -> None:
    trigger = tmp_path / "trigger"
    with bridge(town, tmp_path) as spans, pair(town) as people:
        spans.runs()
        for network in (networks.find(DEV), networks.find(PROD)):
            for step in BROKER_STEPS:
                pid = _serve_dying(network, trigger)
                people.submit(1)
                people.meet()
                arm(trigger, step, network.name)
                people.submit(count)
                until(lambda n=network, p=pid: _succeeded(n, p), "a takeover")  # type: ignore[misc]
                trigger.unlink()
                people.meet()
                assert people.wrongs() == [], f"{step} in {network.name}"
        ends_well(people, (town, DEV), (town, PROD))


def _serve_dying(network: Network, trigger: Path) -> int:
    """Have a network served by a broker that will kill itself; its pid."""
    program = (sys.executable, "-P", PROGRAM, "broker", str(trigger), network.name)
    with network.starter_lock(30):  # no client starts another one meanwhile
        launch.stop(network, timeout=30)
        return launch.start(network, command=lambda _: program).pid


def _succeeded(network: Network, pid: int) -> bool:
    info = alive(network)
    return info is not None and info.pid != pid


@pytest.mark.timeout(240)
def test_all_three_are_killed_at_random_under_load(
    town: Home, tmp_path: Path, show: Callable[[str], None]
) -> None:
    _storm(town, tmp_path, 6, show)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_three_are_killed_at_random_200_times_under_load(
    town: Home, tmp_path: Path, show: Callable[[str], None]
) -> None:
    _storm(town, tmp_path, 200, show)


def _storm(town: Home, folder: Path, rounds: int, show: Callable[[str], None]) -> None:
    """The bridge dies in each round, and with it now one broker, now the other."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    trigger = folder / "trigger"
    with pair(town) as people, Traffic(people) as traffic:
        for _ in range(rounds):
            with bridge(town, folder, PROGRAM, "bridge", trigger, DEV, PROD) as dying:
                traffic.advance(chance.randrange(1, 200))
                step, way = chance.choice(BRIDGE_STEPS), chance.choice((THERE, BACK))
                arm(trigger, step, way, chance.randrange(20))
                victim = chance.choice((DEV, PROD, None))
                if victim:
                    kill_serving(networks.find(victim))
                dying.dies()
                trigger.unlink()
        with bridge(town, folder):
            traffic.advance(100)
            traffic.stop()
            ends_well(people, (town, DEV), (town, PROD))
    show(f"{rounds} rounds: {sum(len(one.got) for one in people)} messages crossed")
