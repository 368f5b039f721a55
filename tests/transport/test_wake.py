"""Signals end the loop between two turns; what else they do is left alone."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from ipcbus.transport.wake import SIGNALS, Waker


@pytest.fixture
def waker() -> Iterator[Waker]:
    before = [signal.getsignal(number) for number in SIGNALS]
    made = Waker()
    yield made
    made.close()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def wakes(waker: Waker) -> bool:
    return bool(select.select([waker], [], [], 5)[0])


def test_nothing_was_asked_for_at_first(waker: Waker) -> None:
    assert not waker.asked()


def test_another_thread_can_ask(waker: Waker) -> None:
    thread = threading.Thread(target=waker.stop)
    thread.start()
    assert wakes(waker)
    assert waker.asked()
    thread.join()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_wakes_and_asks(waker: Waker, number: signal.Signals) -> None:
    waker.listen()
    os.kill(os.getpid(), number)
    assert wakes(waker)
    assert waker.asked()


def test_after_the_first_signal_the_second_one_is_deadly(waker: Waker) -> None:
    waker.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    assert wakes(waker)
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.SIG_DFL] * 2


def test_another_signal_that_has_a_handler_means_nothing(waker: Waker) -> None:
    waker.listen()
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert wakes(waker)
        assert not waker.asked()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_thread_that_is_not_the_main_one_takes_no_signals(waker: Waker) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    thread = threading.Thread(target=waker.listen)
    thread.start()
    thread.join()
    assert [signal.getsignal(number) for number in SIGNALS] == before
