"""Three networks in a ring, each pair with a bridge, as real processes: what is sent to
a topic in one is read once in each of the others, whatever is killed on its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from tests.bridges.town import Bridge, Home, bridge, link
from tests.faults.crew import waiting
from tests.waiting import until

NAMES = ("a", "b", "c")
KILLS = 6
PAIRS = (("a", "b"), ("b", "c"), ("c", "a"))
ONE_HOP = """
rules:
  - id: news
    allow: '* -> #**'
  - id: news-back
    allow: '#** <- *'
"""
FAR = """
max_hops: 8
rules:
  - id: news
    allow: '*@* -> #**'
    transit: true
  - id: news-back
    allow: '#** <- *'
"""

pytestmark = pytest.mark.chaos


class Ring(NamedTuple):
    """Attributes:
    writer: in a.
    readers: one in each network, by its name.
    """

    home: Home
    writer: ipcbus.Client
    readers: dict[str, ipcbus.Client]
    bridges: list[Bridge]
    again: Callable[[int], None]


@contextmanager
def ring(home: Home, folder: Path, text: str) -> Iterator[Ring]:
    rules = folder / "rules.yaml"
    rules.write_text(text)
    with ExitStack() as stack:
        for name in NAMES:
            home.start(home.network(name))

        def client(network: str, name: str) -> ipcbus.Client:
            made = ipcbus.connect(network, agent=name, timeout=30)
            stack.callback(made.close)
            return made

        def begin(pair: tuple[str, str]) -> Bridge:
            made = bridge(home, folder, networks=pair, rules=rules)
            return stack.enter_context(made)

        readers = {name: client(name, "reader") for name in NAMES}
        for reader in readers.values():
            reader.call("join", "news")
        bridges = [begin(pair) for pair in PAIRS]

        def again(at: int) -> None:
            """Kill one, and have another in its place."""
            bridges[at].kill()
            bridges[at] = begin(PAIRS[at])

        made = Ring(home, client("a", "writer"), readers, bridges, again)
        for at in range(len(PAIRS)):
            _runs(made, at)
        yield made


def _runs(ring: Ring, at: int) -> None:
    one, other = PAIRS[at]
    ring.bridges[at].runs(f"{one} -> {other}", f"{other} -> {one}")


def _read(ring: Ring, name: str, got: Counter[str]) -> None:
    """All that is there."""
    for message in ring.readers[name].receive(1000, timeout=0.05):
        message.ack()
        got[message.id.partition("@")[0]] += 1


def _all_read(ring: Ring, got: dict[str, Counter[str]], sent: list[str]) -> None:
    def there() -> bool:
        for name in NAMES:
            _read(ring, name, got[name])
        return all(got[name].keys() >= set(sent) for name in NAMES)

    until(there, "each has read all of it", 60)
    for name in NAMES:
        network = ring.home.network(name)
        until(lambda n=network: waiting(n) == 0, f"nothing waits in {name}")  # type: ignore[misc]
        _read(ring, name, got[name])


def _came(ring: Ring) -> dict[str, int]:
    """What bridges brought anywhere."""
    total: Counter[str] = Counter()
    for pair in PAIRS:
        for here, there in (pair, pair[::-1]):
            total.update(link(ring.home, here, there)["came"])
    return dict(total)


def test_a_topic_is_read_once_in_each_while_each_bridge_is_killed_in_turn(
    home: Path, tmp_path: Path, show: Callable[[str], None]
) -> None:
    """Each goes round to b and c, by another way straight to c as well, and never back
    to where it was written."""
    got: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    sent: list[str] = []
    with ring(Home(home), tmp_path, FAR) as town:
        for at in (0, 1, 2) * (KILLS // 3):
            flying = [town.writer.submit("#news", f"{at}") for _ in range(100)]
            town.again(at)
            sent += [one.result(30).id for one in flying]
            for name in NAMES:
                _read(town, name, got[name])
            _runs(town, at)
        _all_read(town, got, sent)
        came = _came(town)
    for name in NAMES:
        doubled = {id_: count for id_, count in got[name].items() if count != 1}
        assert (doubled, len(got[name])) == ({}, len(sent)), name
    # Into b and c once each, and nothing into a, which is among its hops.
    assert came["accepted"] == 2 * len(sent)
    show(
        f"a ring of 3, {KILLS} kills of a bridge at work: {len(sent)} messages read "
        f"once in each network; {came['duplicate']} duplicates stopped at a border"
    )


def test_without_transit_each_crosses_one_bridge(home: Path, tmp_path: Path) -> None:
    """The hop limit, which is 1 unless rules say another: there is no second way."""
    got: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    with ring(Home(home), tmp_path, ONE_HOP) as town:
        sent = [town.writer.send("#news", "x").id for _ in range(50)]
        _all_read(town, got, sent)
        came = _came(town)
    assert all(set(each.values()) == {1} for each in got.values())
    assert (came["accepted"], came["duplicate"], came["refused"]) == (100, 0, 0)
