"""Who there is: what is found must not depend on how it is kept for speed."""

from __future__ import annotations

import random

from ipcbus.broker.directory import MOST_COMPARED, Directory
from ipcbus.broker.settings import Settings
from ipcbus.protocol.address import matches
from ipcbus.store.memory import MemoryStore

PARTS = ("build", "test", "news", "*")


def _directory() -> Directory:
    store = MemoryStore()
    snapshot = store.open()
    store.begin()
    return Directory(store.registry, Settings(), snapshot)


def _pattern(chance: random.Random) -> str:
    parts = [chance.choice(PARTS) for _ in range(chance.randint(1, 3))]
    return ".".join([*parts, "**"] if chance.random() < 0.2 else parts)


def test_a_topics_readers_are_those_whose_patterns_match() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, directory = random.Random(seed), _directory()
    joined: set[tuple[int, str]] = set()
    for number in range(1, 20):
        directory.register(f"a{number}", f"{number:064x}", 1)
    for _ in range(300):
        number, pattern = chance.randint(1, 19), _pattern(chance)
        if chance.random() < 0.6:
            directory.join(number, pattern)
            joined.add((number, pattern))
        else:
            directory.leave(number, pattern)
            joined.discard((number, pattern))
        directory.check_invariants()
        topic = _pattern(chance).replace("**", "rest").replace("*", "other")
        wanted = {number for number, pattern in joined if matches(pattern, topic)}
        assert directory.readers(topic) == sorted(wanted)


def test_a_pattern_of_any_rest_selects_all_topics() -> None:
    directory = _directory()
    directory.register("alice", "a" * 64, 1)
    directory.join(1, "**")
    assert directory.readers("build.done") == [1]


def test_near_names_are_found_among_many() -> None:
    directory = _directory()
    for number in range(3 * MOST_COMPARED):
        directory.register(f"worker-{number}", f"{number:064x}", 1)
    directory.register("Reviewer", "f" * 64, 1)
    assert directory.near("reviewr") == ["Reviewer"]
    assert directory.near("wroker-17")[0] == "worker-17"


def test_numbers_of_agents_go_on_after_a_start() -> None:
    store = MemoryStore()
    directory = Directory(store.registry, Settings(), store.open())
    store.begin()
    first, _ = directory.register("alice", "a" * 64, 1)
    store.commit()
    again = Directory(store.registry, Settings(), store.open())
    store.begin()
    second, _ = again.register("bob", "b" * 64, 1)
    assert second.number == first.number + 1
