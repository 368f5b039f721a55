"""Old senders to new receivers, and new senders to old receivers, while the door and
the broker are killed.

Nothing is lost. What comes twice was sent twice by an old program that got no answer;
or it is of an answer to `check` that was under way when something was killed, of which
TCP cannot tell what became.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

import ipcbus
from tests.bridges.claude_ipc.conftest import NewDoor
from tests.bridges.claude_ipc.old import Answer, Door, Old
from tests.faults.crew import kill_broker
from tests.waiting import until

PAIRS = 4
"""In each direction. One way each: pairs that answer each other are a loop."""

PATIENCE_S = 60.0

NO_ANSWER = (OSError, json.JSONDecodeError)
"""Nobody there, or a connection that ended before its answer."""


def again(ask: Callable[[], Answer]) -> tuple[Answer, int]:
    """As a patient old program does it: until it is answered that all is well; and how
    often it asked."""
    end, tries = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < end:
        tries += 1
        with contextlib.suppress(*NO_ANSWER):
            answer = ask()
            if answer["status"] == "ok":
                return answer, tries
    raise AssertionError("no answer in a long time")


class Traffic:
    """Attributes:
    tries: how often an old program has sent each message.
    got: how often each message came.
    kills: so far; raised when what was killed is dead, and before it is started again.
    answers: to each old reader, with the number of kills before.
    """

    def __init__(self, door: Door, count: int) -> None:
        self.door = door
        self.count = count
        self.tries: Counter[str] = Counter()
        self.got: Counter[str] = Counter()
        self.kills = 0
        self.answers: dict[str, list[tuple[int, list[str]]]] = {}
        self.failed: list[BaseException] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        for pair in range(PAIRS):
            sender = self.door.registered(f"old-sender-{pair}")
            reader = self.door.registered(f"old-reader-{pair}")
            receiver = self.door.client(f"new-reader-{pair}")
            writer = self.door.client(f"new-sender-{pair}")
            self._do(self._old_sends, sender, pair)
            self._do(self._new_reads, receiver)
            self._do(self._new_sends, writer, pair)
            self._do(self._old_reads, reader)

    def end(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_S * 2)
        assert not self.failed, self.failed
        assert not any(thread.is_alive() for thread in self._threads)

    def until(self, count: int) -> None:
        """Wait until so many messages came."""
        until(lambda: len(self.got) >= count or bool(self.failed), f"{count} came")

    @property
    def expected(self) -> set[str]:
        return {
            f"{side} {pair} {number}"
            for side in ("old", "new")
            for pair in range(PAIRS)
            for number in range(self.count)
        }

    def _do(self, work: Callable[..., None], *args: object) -> None:
        def run() -> None:
            try:
                work(*args)
            except BaseException as error:  # noqa: BLE001 - told by `end`
                self.failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _old_sends(self, sender: Old, pair: int) -> None:
        for number in range(self.count):
            text = f"old {pair} {number}"
            to = f"new-reader-{pair}"
            _, tries = again(lambda to=to, text=text: sender.send(to, text))  # type: ignore[misc]
            self.tries[text] += tries

    def _new_sends(self, writer: ipcbus.Client, pair: int) -> None:
        with writer:
            for number in range(self.count):
                text = f"new {pair} {number}"
                writer.send(f"old-reader-{pair}", text, timeout=PATIENCE_S)

    def _new_reads(self, receiver: ipcbus.Client) -> None:
        with receiver:
            mine = 0
            while mine < self.count:
                for message in receiver.receive(100, timeout=PATIENCE_S):
                    assert isinstance(message.body, str)
                    mine += self._take(message.body)
                    message.ack()
            receiver.flush()

    def _old_reads(self, reader: Old) -> None:
        answers = self.answers[reader.name] = []
        mine = 0
        while mine < self.count:
            answer, _ = again(lambda: reader("check"))
            texts = [one["message"]["content"] for one in answer["messages"]]
            if texts:
                answers.append((self.kills, texts))
                mine += sum(map(self._take, texts))

    def _take(self, text: str) -> bool:
        """Whether it is new."""
        with self._lock:
            self.got[text] += 1
            return self.got[text] == 1

    # --- what must be true -----------------------------------------------------------

    def check(self) -> None:
        lost = self.expected - set(self.got)
        assert not lost, sorted(lost)[:10]
        assert set(self.got) == self.expected
        unsure = self.unsure()
        for text, times in self.got.items():
            if text.startswith("old"):
                assert times <= self.tries[text], text
            elif times > 1:
                assert text in unsure, text

    def unsure(self) -> set[str]:
        """What was in the last answers before a kill."""
        found: set[str] = set()
        for answers in self.answers.values():
            for kill in range(self.kills):
                before = [texts for kills, texts in answers if kills <= kill]
                found.update(*before[-2:])
        return found


def run(door: Door, count: int, kills: int) -> Traffic:
    """All messages, with a kill after each equal part of them."""
    traffic = Traffic(door, count)
    total = len(traffic.expected)
    traffic.begin()
    for kill in range(1, kills + 1):
        traffic.until(total * kill // (kills + 1))
        if kill % 2:
            door.kill()
            traffic.kills += 1
            door.begin()
        else:
            kill_broker(door.network)
            traffic.kills += 1
    traffic.end()
    traffic.check()
    return traffic


@pytest.mark.chaos
def test_nothing_is_lost_when_the_door_and_the_broker_are_killed(
    own_door: NewDoor,
) -> None:
    run(own_door("--rate", "0"), 30, 4)


@pytest.mark.chaos
@pytest.mark.slow
def test_ten_thousand_messages_and_twenty_kills(own_door: NewDoor) -> None:
    traffic = run(own_door("--rate", "0"), 1250, 20)
    doubled = sum(times - 1 for times in traffic.got.values())
    print(f"{traffic.got.total()} messages came, {doubled} of them again")
