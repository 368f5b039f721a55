"""Two networks, the bridge between them, and their citizens: real processes, which may
be killed and come back."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import ipcbus
from ipcbus.broker.sums import ENDINGS
from ipcbus.networks import Network
from tests.bridges.town import DEV, PROD, Bridge, Home
from tests.chaos.fleet import Member
from tests.chaos.ground import end_brokers
from tests.faults.crew import alive, kill_broker
from tests.faults.history import violations
from tests.soak.citizen import SLEEPER, TOPIC
from tests.soak.story import Story
from tests.waiting import until

CITIZEN: Final = Path(__file__).with_name("citizen.py")
BACK_S: Final = 60.0
"""For whoever was killed to be back, and all to get on."""

STEPS: Final = 5
REST_S: Final = 300.0
HISTORY_MS: Final = 60_000
"""What dev keeps of what is done: so short that a run sees it forgotten. prod keeps it
for as long as it comes: 7 days."""


class Size(NamedTuple):
    """`each`: citizens of a network. `rate`: messages a second of all of them."""

    each: int
    rate: float


class City:
    """The first citizen of each network is never killed."""

    def __init__(self, home: Home, folder: Path, size: Size, stack: ExitStack) -> None:
        self.home, self._folder = home, folder
        self.networks: dict[str, Network] = {}
        self.operators: dict[str, ipcbus.Client] = {}
        for name in (DEV, PROD):
            self._found(name, stack)
        self.citizens: dict[str, list[Member]] = {DEV: [], PROD: []}
        stack.callback(self._kill_citizens)
        self.bridge = Bridge(home, folder)
        stack.callback(lambda: self.bridge.kill())
        self.bridge.runs()
        self._settle(size)
        self.story = Story(self._names())
        self.broken: list[str] = []
        self.checks = 0

    def _found(self, name: str, stack: ExitStack) -> None:
        network = self.networks[name] = self.home.network(name)
        settings = {"history_ms": HISTORY_MS} if name == DEV else {}
        self.home.start(network, settings=settings)
        stack.callback(end_brokers, network)
        ipcbus.connect(name, agent=SLEEPER, timeout=30).close()
        operator = ipcbus.connect(name, agent="", timeout=30)
        self.operators[name] = stack.enter_context(operator)

    def _settle(self, size: Size) -> None:
        names = {
            network: [f"{network[0]}{at}" for at in range(size.each)]
            for network in self.citizens
        }
        # All must be known, and read the topic, before the first writes.
        for network, people in names.items():
            for name in people:
                with ipcbus.connect(network, agent=name, timeout=30) as client:
                    client.join(TOPIC)
        rate = size.rate / (2 * size.each)
        for network, other in ((DEV, PROD), (PROD, DEV)):
            far = [f"{name}@{other}" for name in names[other]]
            for name in names[network]:
                peers = [one for one in names[network] if one != name] + far
                made = Member("live", network, name, peers, rate, self._folder, CITIZEN)
                self.citizens[network].append(made)
        until(lambda: all(m.progress >= 0 for m in self.members), "all are there", 60)

    def _names(self) -> dict[str, list[str]]:
        return {
            network: [f"{one.name}@{network}" for one in people]
            for network, people in self.citizens.items()
        }

    @property
    def members(self) -> list[Member]:
        return [one for people in self.citizens.values() for one in people]

    def _kill_citizens(self) -> None:
        for one in self.members:
            one.kill()

    # --- what they tell ----------------------------------------------------

    def listen(self) -> None:
        """Take in what they have written down since the last time."""
        for network, people in self.citizens.items():
            for one in people:
                self.story.add(f"{one.name}@{network}", one.news())

    def status(self, network: str) -> dict[str, Any]:
        return self.operators[network].status()

    def advance(self) -> None:
        """Wait until each has got on a little."""
        goals = [(one, one.progress + STEPS) for one in self.members]
        until(
            lambda: all(one.progress >= goal for one, goal in goals),
            f"all go on: {[(m.name, m.progress, goal) for m, goal in goals]}",
            BACK_S,
        )

    def check(self) -> None:
        """Let all come to rest, look for broken promises, and go on."""
        self._rest()
        self.listen()
        self.broken += violations(*self.story.close())
        for network in self.networks:
            self.broken += wrong_sums(network, self.status(network))
        self.checks += 1
        for one in self.members:
            one.forget()
        # Not before all have forgotten: the first would write to the last.
        for one in self.members:
            one.signal(signal.SIGUSR2)

    def _rest(self) -> None:
        for one in self.members:
            one.signal(signal.SIGUSR1)
        before: list[Any] = []

        def quiet() -> bool:
            # When nobody has anything under way, and then nothing waits at two looks
            # between which nothing was accepted, then nothing has moved either.
            nonlocal before
            rest = self._at_rest()
            told = [self.status(name) for name in self.networks]
            now = [[one["counters"].get("accepted"), waiting(one)] for one in told]
            still = before == [True, now]
            before = [rest, now]
            return rest and still and not any(waits for _, waits in now)

        until(quiet, f"all come to rest: {self._restless()}", REST_S)

    def _at_rest(self) -> bool:
        return all(one.at_rest for one in self.members)

    def _restless(self) -> list[str]:
        return [one.name for one in self.members if not one.at_rest]

    # --- what is done to them ----------------------------------------------

    def kill(self, victim: str, chance: random.Random) -> float:
        """kill -9; seconds until it, or who comes after it, is back and all get on."""
        began = time.monotonic()
        VICTIMS[victim](self, chance)
        self.advance()
        return time.monotonic() - began

    def kill_broker(self, name: str) -> None:
        network = self.networks[name]
        before = kill_broker(network)

        def succeeded() -> bool:
            info = alive(network)
            return info is not None and info.epoch > before.epoch

        until(succeeded, f"a takeover in {name}", BACK_S)

    def kill_bridge(self) -> None:
        self.bridge.kill()
        self.bridge = Bridge(self.home, self._folder)
        self.bridge.runs()


VICTIMS: Final[dict[str, Callable[[City, random.Random], object]]] = {
    "broker of dev": lambda city, _: city.kill_broker(DEV),
    "client of dev": lambda city, chance: chance.choice(
        city.citizens[DEV][1:]
    ).replace(),
    "bridge": lambda city, _: city.kill_bridge(),
    "broker of prod": lambda city, _: city.kill_broker(PROD),
    "client of prod": lambda city, chance: chance.choice(
        city.citizens[PROD][1:]
    ).replace(),
}
"""Who may be killed."""


@contextmanager
def city(home: Home, folder: Path, size: Size) -> Iterator[City]:
    with home.inside(), ExitStack() as stack:
        yield City(home, folder, size, stack)


def wrong_sums(network: str, told: dict[str, Any]) -> list[str]:
    """Whether each accepted message of a network has one end, by its counters."""
    count = told["counters"].get
    ended = sum(count(name, 0) for name in ENDINGS) - count("replayed", 0)
    found = []
    if count("accepted", 0) != ended + waiting(told):
        found.append(f"{network}: the counters do not add up: {told['counters']}")
    if count("dead", 0):
        found.append(f"{network}: {count('dead')} dead letters")
    return found


def waiting(told: dict[str, Any]) -> int:
    return sum(box["waiting"] + box["leased"] for box in told["mailboxes"].values())
