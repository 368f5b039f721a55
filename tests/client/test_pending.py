"""Waiting for one result, and for a change."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ipcbus.client.pending import Bell, Pending
from ipcbus.errors import NoBroker, TimedOut


def test_a_result_that_is_there_is_given_at_once() -> None:
    pending: Pending[int] = Pending()
    pending.resolve(7)
    assert pending.done()
    assert pending.result() == pending.result(0) == 7
    assert pending.error() is None


def test_an_error_is_raised_each_time_without_a_growing_traceback() -> None:
    pending: Pending[int] = Pending()
    pending.fail(NoBroker(network="dev", reason="none"))
    lengths = set()
    for _ in range(3):
        with pytest.raises(NoBroker) as raised:
            pending.result()
        lengths.add(len(raised.traceback))
    assert len(lengths) == 1


def test_waiting_ends_with_the_timeout() -> None:
    pending: Pending[int] = Pending()
    with pytest.raises(TimedOut):
        pending.result(0.01)
    assert not pending.wait(0)
    pending.resolve(1)
    assert pending.result(0) == 1


def test_many_threads_can_wait_for_one_result() -> None:
    pending: Pending[int] = Pending()
    got: list[int] = []
    threads = [
        threading.Thread(target=lambda: got.append(pending.result(5))) for _ in range(9)
    ]
    for thread in threads:
        thread.start()
    pending.resolve(3)
    for thread in threads:
        thread.join(5)
    assert got == [3] * 9


def test_callbacks_are_called_once_whenever_they_were_added() -> None:
    pending: Pending[int] = Pending()
    called: list[str] = []
    pending.add_done_callback(lambda _: called.append("before"))
    pending.resolve(1)
    pending.add_done_callback(lambda _: called.append("after"))
    assert called == ["before", "after"]


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_a_callback_that_raises_is_reported_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *told: reported.append(told[0]))

    def fail(_: Pending[int]) -> None:
        raise error

    pending: Pending[int] = Pending()
    called: list[int] = []
    pending.add_done_callback(fail)
    pending.add_done_callback(lambda p: called.append(p.result()))
    pending.resolve(5)
    assert called == [5]
    assert reported == [error]


def test_ctrl_c_interrupts_a_wait() -> None:
    pending: Pending[int] = Pending()
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pending.result()
    timer.join()


@pytest.mark.parametrize(
    "wait",
    [lambda: Pending[int]().result(30), lambda: Bell().sleep(lambda: False, 30)],
    ids=["a result", "a bell"],
)
def test_ctrl_c_that_wakes_nobody_is_found_soon(wait: Callable[[], object]) -> None:
    """As one that comes just before the sleep; here another thread takes it."""

    def interrupt() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    timer = threading.Timer(0.1, interrupt)
    begun = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wait()
    assert time.monotonic() - begun < 10
    timer.join()


def test_a_bell_wakes_all_who_sleep() -> None:
    bell = Bell()
    state = threading.Event()
    awake: list[int] = []

    def sleep(number: int) -> None:
        while not state.is_set():
            bell.sleep(state.is_set, 10)
        awake.append(number)

    threads = [threading.Thread(target=sleep, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    state.set()
    bell.ring()
    for thread in threads:
        thread.join(5)
    assert sorted(awake) == list(range(5))


def test_a_bell_that_rings_in_vain_leaves_nothing() -> None:
    bell = Bell()
    bell.sleep(lambda: False, 0.001)
    bell.sleep(lambda: True, 10)
    bell.ring()
    assert not bell._sleepers
