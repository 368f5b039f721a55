"""Backups of a broker at work: what is restored elsewhere is what there was.

A copy is of one moment: that after some commit, the last before the copy was whole.
Which one is told by its newest number (`last_seq`): what was accepted up to it is in
the copy, and nothing after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from benchmarks.figures import percentile
from ipcbus.broker.sums import DURABLE, ENDINGS
from ipcbus.networks import Network
from ipcbus.store.sqlite.offline import SEQ_GAP, inspect
from ipcbus.transport import launch
from tests.bridges.town import DEV, new_home
from tests.chaos.fleet import waiting as waiting_for
from tests.faults.crew import Crew, crew, status, waiting
from tests.faults.history import Seen, violations
from tests.faults.restoring import begun, counters, ended, messages, restored, unwell
from tests.waiting import until

pytestmark = pytest.mark.chaos

STORED = 12_000
READ = 1_000
BODY = bytes(1024)
BACKUPS = 3
STEPS = 40
PROBES = 200
MIB = 1024 * 1024


class Copy(NamedTuple):
    """A backup, and what the broker counted before it was begun and after its end."""

    path: Path
    before: dict[str, int]
    after: dict[str, int]


# --- under load --------------------------------------------------------------


@pytest.mark.timeout(240)
@pytest.mark.slow
def test_backups_under_load_are_each_of_one_moment_and_cost_no_commit(
    network: Network, tmp_path: Path, show: Callable[[str], None]
) -> None:
    launch.start(network)
    _store(STORED)
    with crew(network, tmp_path, senders=3, receivers=3) as people:
        people.advance(STEPS)
        copies = _copies(network, people, tmp_path, show)
        people.advance(STEPS)
        sent = people.stop_sending()
        assert violations(sent, _read_to_the_end(network, people)) == []
    launch.stop(network, timeout=60)
    source = messages(network.database)
    moments = [_moment(copy, source) for copy in copies]
    assert moments == sorted(moments)
    assert len(set(moments)) > 2, "some messages came between them"
    _goes_on_elsewhere(network, copies[-1])


def _read_to_the_end(network: Network, people: Crew) -> list[Seen]:
    names = [receiver.name for receiver in people.receivers]
    until(lambda: waiting_for(network, names) == 0, "they have read all", 60)
    for receiver in people.receivers:
        receiver.end()
    return [seen for receiver in people.receivers for seen in receiver.seen()]


def _store(count: int) -> None:
    """So much that a copy takes a while; some of it is acked, the rest waits."""
    ipcbus.connect(DEV, agent="full").close()
    with ipcbus.connect(DEV, agent="filler") as filler:
        for number in range(count):
            filler.submit("full", BODY, id=f"stored-{number}")
        filler.flush(60)
    with ipcbus.connect(DEV, agent="full") as full:
        read = 0
        while read < READ:
            for message in full.fetch(READ - read, timeout=10)[0]:
                message.ack()
                read += 1
        full.flush()


def _copies(
    network: Network, people: Crew, folder: Path, show: Callable[[str], None]
) -> list[Copy]:
    """One after the other, and two at once; the last of these two is left out, as
    nobody knows which of them was the later."""
    found = []
    with ipcbus.connect(DEV, agent="probe") as probe:
        usual = [_send_one(probe) for _ in range(PROBES)]
        late: list[float] = []
        for at in range(BACKUPS):
            before = status(network)["counters"]
            path = folder / f"copy-{at}.db"
            backup = begun("backup", path, "-n", DEV)
            twin = begun("backup", folder / "twin.db", "-n", DEV) if at == 1 else None
            while backup.poll() is None:
                late.append(_send_one(probe))
            said = ended(backup)
            if twin is not None:
                ended(twin)
            after = status(network)["counters"]
            assert said["bytes"] <= path.stat().st_size
            found.append(Copy(path, before, after))
            people.advance(STEPS)
    assert inspect(folder / "twin.db")["messages"]
    size = found[-1].path.stat().st_size / MIB
    show(
        f"{size:.0f} MiB, {BACKUPS} backups: a send took p50 {_ms(usual, 0.5)}, p99 "
        f"{_ms(usual, 0.99)} ms before, p50 {_ms(late, 0.5)}, p99 {_ms(late, 0.99)} ms "
        "during them"
    )
    return found


def _send_one(probe: ipcbus.Client) -> float:
    """Seconds until it is accepted."""
    began = time.monotonic()
    probe.send("full", "how long?")
    return time.monotonic() - began


def _ms(times: list[float], share: float) -> str:
    return f"{percentile(times, share) * 1000:.1f}"


def _moment(copy: Copy, source: dict[int, str]) -> int:
    """That the copy is what the broker had after some commit between the two looks;
    the newest number of it."""
    facts = inspect(copy.path)
    last = int(facts["last_seq"])
    assert messages(copy.path) == {s: id_ for s, id_ in source.items() if s <= last}
    count = counters(copy.path)
    for name in DURABLE:
        low, high = copy.before.get(name, 0), copy.after.get(name, 0)
        assert low <= count.get(name, 0) <= high, name
    ends = sum(count.get(name, 0) for name in ENDINGS) - count.get("replayed", 0)
    assert count["accepted"] == ends + int(facts["waiting"])
    assert copy.path.stat().st_mode & 0o777 == 0o600
    return last


# --- elsewhere ---------------------------------------------------------------


def _goes_on_elsewhere(source: Network, copy: Copy) -> None:
    facts = inspect(copy.path)
    with new_home() as home, home.inside():
        made = restored(home, source, copy.path)
        launch.start(made)
        told = status(made)
        assert told["counters"] == counters(copy.path)
        assert waiting(made) == facts["waiting"]
        assert not unwell(made)
        with ipcbus.connect(DEV, agent="filler") as filler:
            again = filler.send("full", BODY, id="stored-7")
            assert again.again, "its ids are known there"
        _reads_on(facts)


def _reads_on(facts: dict[str, int | str]) -> None:
    """The first that waits comes first, and a new one gets a number above all that
    was ever given."""
    with ipcbus.connect(DEV, agent="full") as full:
        (first,), _ = full.fetch(1, timeout=10)
        assert first.id == f"stored-{READ}"
    with ipcbus.connect(DEV, agent="new") as new:
        new.send("new", "hello")
        (message,) = new.receive(timeout=10)
        assert message.seq > int(facts["last_seq"]) + SEQ_GAP
