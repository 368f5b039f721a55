"""The loop: turns, timers, failures, the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import zmq

from ipcbus.broker.events import (
    Action,
    Admit,
    BackedUp,
    Backup,
    Event,
    Expel,
    Now,
    Received,
    Say,
    Stop,
)
from ipcbus.errors import Fenced, IpcbusError, StoreFailed, StoreFull
from ipcbus.protocol.messages import (
    Accepted,
    Call,
    Closed,
    Ping,
    Pong,
    Send,
)
from ipcbus.store.sqlite import SqliteStore
from ipcbus.transport.inbox import Inbox
from ipcbus.transport.keys import generate
from tests.transport.loops import Echo, Loop, Script, make_store, watched
from tests.transport.peers import send
from tests.waiting import until


def failing(error: IpcbusError, times: int = 1) -> Callable[[Path], SqliteStore]:
    """Stores whose commit fails while `failing.now` says so, `times` in all."""
    left = [times]

    def at_commit() -> None:
        if armed.is_set() and left[0]:
            left[0] -= 1
            raise error

    return watched(at_commit)


armed = threading.Event()


@pytest.fixture(autouse=True)
def _not_armed() -> None:
    armed.clear()


# --- turns ---------------------------------------------------------------------


def test_nothing_is_said_before_the_commit(tmp_path: Path) -> None:
    may_commit = threading.Event()

    def wait() -> None:
        if armed.is_set():
            may_commit.wait(10)

    with Loop(tmp_path, store=watched(wait)) as loop:
        peer = loop.peer()
        peer.hello()
        armed.set()
        try:
            peer.say(send(1, "bob", b"x"))
            assert peer.hears_nothing(0.2)
        finally:
            may_commit.set()
        assert peer.hear() == Accepted(1, [])


def test_what_arrives_together_is_one_turn(tmp_path: Path) -> None:
    turns: list[int] = []
    held = threading.Event()

    class Slow(Echo):
        def handle(self, events: Sequence[Event], now: Now) -> list[Action]:
            turns.append(len(events))
            held.wait(0.3)
            return super().handle(events, now)

    with Loop(tmp_path, Slow()) as loop:
        peer = loop.peer()
        peer.hello()
        for number in range(40):
            peer.ping(number)
        held.set()
        for number in range(40):
            assert peer.wait_for(Pong).number == number
    assert max(turns) > 10


def test_a_deadline_of_the_core_is_kept(tmp_path: Path) -> None:
    class Timer(Echo):
        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def next_deadline(self, now: Now) -> float | None:
            return 0.05

        def handle(self, events: Sequence[Event], now: Now) -> list[Action]:
            self.times.append(now.mono)
            return super().handle(events, now)

    core = Timer()
    with Loop(tmp_path, core):
        until(lambda: len(core.times) > 5, "it is called")
    gaps = [after - before for before, after in pairwise(core.times)]
    assert all(gap >= 0.049 for gap in gaps)


def test_an_idle_loop_sleeps(tmp_path: Path) -> None:
    """No connection, nothing due: no turn, whatever time passes."""
    calls: list[Now] = []

    class Counting(Echo):
        def handle(self, events: Sequence[Event], now: Now) -> list[Action]:
            calls.append(now)
            return super().handle(events, now)

    done = threading.Event()
    with Loop(tmp_path, Counting()):
        assert not done.wait(0.5)
    assert len(calls) <= 1


def test_the_loop_ends_with_a_word_to_everyone(tmp_path: Path) -> None:
    with Loop(tmp_path) as loop:
        peers = [loop.peer() for _ in range(3)]
        for peer in peers:
            peer.hello()
        loop.stop()
        for peer in peers:
            closed = peer.wait_for(Closed)
            assert closed.code == "disconnected"
            assert closed.facts["reason"] == "the broker has stopped"


def test_a_stop_of_the_core_ends_it_after_its_answer(tmp_path: Path) -> None:
    def act(event: Received) -> list[Action] | None:
        if isinstance(event.message, Ping):
            return [Say(event.peer, Pong(1, 1)), Stop()]
        return None

    with Loop(tmp_path, Script(act)) as loop:
        peer = loop.peer()
        peer.hello()
        peer.ping()
        assert isinstance(peer.hear(), Pong)
        assert isinstance(peer.hear(), Closed)
        until(loop.ended, "the loop ends")


# --- keys ----------------------------------------------------------------------


@pytest.mark.security
def test_an_admitted_key_comes_in_and_an_expelled_one_goes(tmp_path: Path) -> None:
    guest = generate()

    def act(event: Received) -> list[Action] | None:
        if event.message == Ping(1):
            return [Admit(guest.public)]
        if event.message == Ping(2):
            return [Expel(guest.public, "its key was revoked")]
        return None

    with Loop(tmp_path, Script(act)) as loop:
        operator = loop.peer()
        operator.hello()
        operator.ping(1)
        operator.ping(3)
        operator.wait_for(Pong)
        member = loop.peer(guest, admit=False)
        member.hello()
        before = len(loop.core.events)
        operator.ping(2)
        member.event(zmq.EVENT_DISCONNECTED, bound=1.0)
        member.try_to_ping(99)
        member.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        operator.ping(4)
        assert operator.wait_for(Pong).number == 4
        heard = [e for e in loop.core.events[before:] if isinstance(e, Received)]
        assert {event.key for event in heard} == {operator.keys.public}


@pytest.mark.security
def test_a_word_of_an_expelled_key_under_way_is_not_heard(tmp_path: Path) -> None:
    """From the turn of the Expel on, also before its connection is cut."""

    def act(event: Received) -> list[Action] | None:
        if event.message == Ping(1):
            return [Expel(event.key, "its key was revoked")]
        return None

    with Loop(tmp_path, Script(act)) as loop:
        peer, other = loop.peer(), loop.peer()
        other.hello()
        peer.ping(1)
        until(lambda: peer.keys.public not in loop.sockets.gate, "it is expelled")
        peer.ping(2)
        other.ping(3)
        other.wait_for(Pong)
        peer.event(zmq.EVENT_DISCONNECTED, bound=1.0)
        said = [e.message for e in loop.core.events if isinstance(e, Received)]
        assert Ping(2) not in said


# --- upkeep --------------------------------------------------------------------


def test_a_backup_is_made_between_turns_and_reported(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    def act(event: Received) -> list[Action] | None:
        if isinstance(event.message, Call):
            return [Backup(event.peer, event.message.ref, copy)]
        return None

    with Loop(tmp_path, Script(act)) as loop:
        peer = loop.peer()
        peer.say(Call(5, "backup", [str(copy)], b""))
        until(lambda: bool(reports(loop)), "it ends")
        report = reports(loop)[0]
        assert (report.ref, report.problem) == (5, None)
        assert report.size > 0
        assert copy.stat().st_size > 0
        assert copy.stat().st_mode & 0o077 == 0


def test_a_backup_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    def act(event: Received) -> list[Action] | None:
        return [Backup(event.peer, 5, tmp_path / "nowhere" / "copy.db")]

    with Loop(tmp_path, Script(act)) as loop:
        peer = loop.peer()
        peer.ping()
        until(lambda: bool(reports(loop)), "it ends")
        assert reports(loop)[0].problem


def reports(loop: Loop) -> list[BackedUp]:
    return [event for event in loop.core.events if isinstance(event, BackedUp)]


# --- failures ------------------------------------------------------------------


def test_a_full_store_starts_over_under_a_new_epoch(tmp_path: Path) -> None:
    with Loop(tmp_path, store=failing(StoreFull(network="dev"))) as loop:
        peer = loop.peer()
        peer.hello()
        armed.set()
        peer.say(send(1, "bob", b"x"))
        closed = peer.wait_for(Closed)
        assert closed.code == "disconnected"
        assert "start over" in closed.facts["reason"]
        until(lambda: [life.epoch for life in loop.lives] == [1, 2], "a new epoch")
        back = loop.peer(peer.keys)
        back.hello(last_epoch=1)
        back.say(send(1, "bob", b"x"))
        assert back.wait_for(Accepted).ref == 1
        back.ping()
        assert back.wait_for(Pong).epoch == 2


def test_a_store_that_is_full_again_ends_the_broker(tmp_path: Path) -> None:
    full_twice = failing(StoreFull(network="dev"), times=2)
    with Loop(tmp_path, store=full_twice, fails=StoreFailed) as loop:
        peer = loop.peer()
        peer.hello()
        armed.set()
        peer.say(send(1, "bob", b"x"))
        peer.wait_for(Closed)
        loop.peer(peer.keys).say(send(1, "bob", b"x"))
        until(loop.ended, "the loop ends")


@pytest.mark.parametrize(
    "error",
    [StoreFailed(reason="input/output error"), Fenced(network="dev", theirs=2, ours=1)],
)
def test_a_failed_disk_ends_the_broker_without_an_answer(
    tmp_path: Path, error: IpcbusError
) -> None:
    with Loop(tmp_path, store=failing(error), fails=type(error)) as loop:
        peer = loop.peer()
        peer.hello()
        armed.set()
        peer.say(send(1, "bob", b"x"))
        until(loop.ended, "the loop ends")
        assert peer.hears_nothing(0.1), "not even CLOSED"


def test_a_bug_ends_the_broker_and_the_log_shows_no_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def act(event: Received) -> list[Action] | None:
        if isinstance(event.message, Send):
            raise KeyError(event.message.bodies[0])
        return None

    caplog.set_level(logging.DEBUG)
    with Loop(tmp_path, Script(act), fails=IpcbusError) as it:
        peer = it.peer()
        peer.hello()
        peer.say(send(1, "bob", b"a secret body"))
        until(it.ended, "the loop ends")
        assert peer.hears_nothing(0.1)
    assert "KeyError" in str(it.failure)
    assert "in act" in caplog.text
    assert "a secret body" not in caplog.text


def test_a_bug_in_reading_ends_the_broker_in_the_same_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a secret " + "body"  # a traceback shows this line

    def read(inbox: Inbox, events: list[Event]) -> bool:
        raise KeyError(secret)

    with Loop(tmp_path, fails=IpcbusError) as it:
        monkeypatch.setattr(Inbox, "read", read)
        it.peer().say(send(1, "bob", b"x"))
        until(it.ended, "the loop ends")
    assert "KeyError" in str(it.failure)
    assert "a secret body" not in caplog.text


def test_a_failed_turn_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    """What the core wrote in a turn that could not be committed is gone."""
    lives: list[Loop] = []

    class Writer(Echo):
        def react(self, event: Event) -> list[Action]:
            if isinstance(event, Received) and isinstance(event.message, Send):
                life = lives[0].lives[-1]
                life.store.registry.put_counters({"seen": event.message.ref})
            return super().react(event)

    loop = Loop(tmp_path, Writer(), store=failing(StoreFull(network="dev")))
    lives.append(loop)
    with loop:
        peer = loop.peer()
        peer.hello()
        peer.say(send(1, "bob", b"x"))
        assert peer.wait_for(Accepted).ref == 1
        armed.set()
        peer.say(send(2, "bob", b"x"))
        peer.wait_for(Closed)
    store = make_store(tmp_path / "bus.db")
    try:
        assert store.open().counters == {"seen": 1}
    finally:
        store.close()
