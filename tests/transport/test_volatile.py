"""A volatile store: names on disk, messages in memory, and no way to hide mail.

It also passes the suite of `tests/store/contract`, but for backups, and for numbers
of messages, which have gaps here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus.errors import AlreadyServing, UsageError
from ipcbus.networks import Network
from ipcbus.store.memory import MemoryStore
from ipcbus.store.records import (
    Agent,
    AgentKey,
    Alias,
    LinkRow,
    Mailbox,
    Subscription,
)
from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite.offline import inspect
from ipcbus.transport import launch
from ipcbus.transport.volatile import SEQ_GAP, VolatileStore, check_change, memory_for
from tests.store.making import BOB, entry, fill, key, row, turn, waiting

BODY = b"these words are nowhere on disk"
DAY = 24 * 3600 * 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bus.db"


def durable(path: Path) -> SqliteStore:
    return SqliteStore(path, network="dev", ballast=None)


def volatile(path: Path, memory: MemoryStore | None = None) -> VolatileStore:
    return VolatileStore(durable(path), memory or memory_for("dev", 0), "dev")


@pytest.fixture
def store(path: Path) -> Iterator[VolatileStore]:
    made = volatile(path)
    made.open()
    yield made
    made.close()


NAMES = (
    Agent(1, "alice", 1, 0, 0, 0, 0),
    AgentKey("ab" * 32, 1, "agent", 0, 0, 0),
    Alias("ann", 1, 99),
    Subscription(1, "builds.*"),
    LinkRow(1, "id-of-prod", 3, 0, 0, 0, "{}", "{}"),
)


def put_names(store: VolatileStore) -> None:
    agent, agent_key, alias, subscription, link = NAMES
    with turn(store):
        store.registry.put_agent(agent)
        store.registry.put_key(agent_key)
        store.registry.put_alias(alias)
        store.registry.put_subscription(subscription)
        store.crossings.put_link(link)
        store.crossings.put_pin("prod", "id-of-prod")


def test_the_next_broker_knows_the_names_and_none_of_the_messages(path: Path) -> None:
    first = volatile(path)
    began = first.open()
    put_names(first)
    fill(first, [began.last_seq + 1], body=BODY)
    first.close()
    second = volatile(path)
    found = second.open()
    try:
        known = (found.agents, found.keys, found.aliases, found.subscriptions)
        assert known == ([NAMES[0]], [NAMES[1]], [NAMES[2]], [NAMES[3]])
        assert (found.links, found.pins) == ([NAMES[4]], {"prod": "id-of-prod"})
        assert found.network_id == began.network_id
        assert (found.epoch, found.mailboxes, found.counters) == (2, [], {})
        assert waiting(second) == []
    finally:
        second.close()


def test_a_durable_broker_of_the_same_folder_knows_the_names(path: Path) -> None:
    first = volatile(path)
    first.open()
    put_names(first)
    first.close()
    second = durable(path)
    assert second.open().agents == [NAMES[0]]
    second.close()


def test_nothing_of_a_message_is_written_to_disk(
    store: VolatileStore, path: Path
) -> None:
    put_names(store)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    fill(store, range(1, 100), body=BODY)
    with turn(store):
        store.mail.remove([key(1)], keep=True)
        store.registry.put_counters({"accepted": 99})
    with turn(store):
        store.archive.maintain(DAY, DAY, 100)
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    assert not any(BODY in content for content in before.values())


def test_numbers_of_messages_are_never_used_again(path: Path) -> None:
    """A client may still hold one of a broker that died, and would ack another
    message with it."""
    starts = []
    for make in (volatile, volatile, durable, volatile):
        store = make(path)
        starts.append(store.open().last_seq)
        store.close()
    first, second, _, fourth = starts
    assert second - first == SEQ_GAP
    assert fourth - second == 2 * SEQ_GAP


def test_who_starts_over_goes_on_with_the_same_messages(path: Path) -> None:
    """As the runner does when a turn found no room: the memory is the process's."""
    memory = MemoryStore(network="dev")
    first = volatile(path, memory)
    first.open()
    fill(first, [1, 2])
    with turn(first):
        first.registry.put_counters({"accepted": 2})
    first.begin()
    first.mail.add([row(3)], [entry(3)])
    first.registry.put_agent(NAMES[0])
    first.rollback()
    first.close()
    second = volatile(path, memory)
    found = second.open()
    try:
        assert waiting(second) == [1, 2]
        assert (found.counters, found.agents) == ({"accepted": 2}, [])
        assert found.last_seq >= 2
        assert found.epoch == 2
    finally:
        second.close()


def test_its_room_is_what_the_settings_say_or_a_share_of_the_machine() -> None:
    assert memory_for("dev", 1 << 24).room() == 1 << 24
    assert 1 << 24 < memory_for("dev", 0).room() < 1 << 50


def test_a_full_broker_can_still_tell_of_it(path: Path) -> None:
    """A bounce that does not fit would make it start over, and the next one end it."""
    store = volatile(path, memory_for("dev", 1 << 24))
    store.open()
    try:
        seqs = iter(range(1, 1000))
        while store.room() > len(BODY) * 1000:
            fill(store, [next(seqs)], body=BODY * 1000)
        fill(store, [next(seqs)], body=b"x" * store.room())
        assert store.room() == 0
        fill(store, [next(seqs)], body=b"a bounce")
        assert len(waiting(store)) == next(seqs) - 1
    finally:
        store.close()


def test_its_facts_say_that_it_is_volatile(store: VolatileStore) -> None:
    facts = store.facts()
    assert (facts["volatile"], facts["unseen"], facts["epoch"]) == (1, 0, 1)


def test_there_is_no_backup(store: VolatileStore, tmp_path: Path) -> None:
    steps = store.backup(tmp_path / "copy")
    with pytest.raises(UsageError, match="volatile"):
        next(steps)
    assert not (tmp_path / "copy").exists()


# --- from durable to volatile ------------------------------------------------------


def _with_waiting(store: SqliteStore) -> None:
    with turn(store):
        store.mail.add([row(1)], [entry(1)])
        store.mail.put_totals([_total(1)])


def _with_dead(store: SqliteStore) -> None:
    _with_waiting(store)
    with turn(store):
        store.mail.bury(key(1), "given_up", "", 0)
        store.mail.put_totals([_total(0)])


def _total(messages: int) -> Mailbox:
    return Mailbox(BOB, messages, 100 * messages)


def _settled(store: SqliteStore) -> None:
    _with_waiting(store)
    with turn(store):
        store.mail.remove([key(1)], keep=True)
        store.mail.put_totals([_total(0)])


def _holding(path: Path, put: Callable[[SqliteStore], None]) -> None:
    store = durable(path)
    store.open()
    put(store)
    store.close()


@pytest.mark.parametrize("put", [_with_waiting, _with_dead])
def test_it_does_not_open_over_mail_on_disk(
    path: Path, put: Callable[[SqliteStore], None]
) -> None:
    _holding(path, put)
    with pytest.raises(UsageError, match=r"mail on disk.*--store durable"):
        volatile(path).open()
    again = durable(path)
    again.open()  # it was let go, and nothing has become of the mail
    assert waiting(again) or again.mail.dead(None, 0, 1)
    again.close()


def test_settled_messages_on_disk_are_told_of_and_go_in_their_time(path: Path) -> None:
    _holding(path, _settled)
    store = volatile(path)
    store.open()
    try:
        assert store.facts()["unseen"] == 1
        for _ in range(3):
            with turn(store):
                store.archive.maintain(30 * DAY, DAY, 100)
        assert store.facts()["unseen"] == 0
    finally:
        store.close()
    assert inspect(path)["messages"] == 0


@pytest.mark.parametrize("put", [_with_waiting, _with_dead])
def test_a_network_with_mail_is_not_made_volatile(
    network: Network, put: Callable[[SqliteStore], None]
) -> None:
    _holding(network.database, put)
    with pytest.raises(UsageError, match="mail on disk"):
        check_change(network, "memory")
    assert check_change(network, "durable") == 0
    assert not network.is_served()


def test_one_without_is_and_what_it_hides_is_counted(network: Network) -> None:
    assert check_change(network, "memory") == 0
    _holding(network.database, _settled)
    assert check_change(network, "memory") == 1


def test_one_that_is_served_changes_neither_way(network: Network) -> None:
    launch.start(network)
    with pytest.raises(AlreadyServing):
        check_change(network, "memory")
    launch.stop(network)
    network.save(network.saved()._replace(store="memory"))
    launch.start(network)
    with pytest.raises(AlreadyServing):
        check_change(network, "durable")


def test_a_broker_does_not_start_over_mail_that_it_would_hide(network: Network) -> None:
    """Also if network.json was edited by hand."""
    _holding(network.database, _with_waiting)
    network.save(network.saved()._replace(store="memory"))
    with pytest.raises(UsageError, match=r"1 waiting"):
        launch.start(network)
    network.save(network.saved()._replace(store="durable"))
    launch.start(network)
