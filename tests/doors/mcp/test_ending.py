"""Servers that end, politely or not: no message is lost and nothing hangs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import ipcbus
from ipcbus.doors.tools import Desk, call
from ipcbus.networks import BrokerInfo
from tests.doors.mcp.raw import Raw, started
from tests.waiting import until

HALF_A_PIPE = 32_000
"""A write that is longer than a page leaves up to half of its last one unused."""


@contextmanager
def after_showing(text: str) -> Iterator[Raw]:
    """A server that has shown its client one message."""
    with started("--network", "dev", "--as", "model") as raw:
        raw.shake_hands()
        with ipcbus.connect("dev", agent="bob") as bob:
            bob.send("model", text)
        (shown,) = raw.call("wait", timeout_s=10)["messages"]
        assert (shown["text"], shown.get("seen_before")) == (text, None)
        yield raw


def comes_again() -> dict[str, object]:
    """The message, for the next server of that agent."""
    with Desk(["dev"], "model") as desk:
        (shown,) = call(desk, "wait", {"timeout_s": 20})["messages"]
        call(desk, "status", {})
        desk.client().flush()
    found: dict[str, object] = shown
    return found


def test_a_server_killed_after_showing_a_message_loses_nothing(
    broker: BrokerInfo,
) -> None:
    with after_showing("hello") as raw:
        raw.process.kill()
        raw.end()

    again = comes_again()

    assert (again["text"], again["seen_before"]) == ("hello", True)


def test_two_signals_end_it_cleanly_and_give_back_what_was_shown(
    broker: BrokerInfo,
) -> None:
    """Claude Code sends the second one a tenth of a second after the first."""
    with (
        after_showing("hello") as raw,
        ipcbus.connect("dev", agent="model") as other,
    ):
        waiting = other.start_call("news", 0, 10_000)
        raw.process.send_signal(signal.SIGINT)
        (news, *_), _ = waiting.result(10)
        raw.process.send_signal(signal.SIGTERM)

        assert news == 1
        assert raw.end() == (0, "")
    assert comes_again()["seen_before"]


def test_a_signal_ends_it_though_a_call_still_waits(broker: BrokerInfo) -> None:
    with started("--network", "dev", "--as", "model") as raw:
        raw.shake_hands()
        arguments = {"name": "wait", "arguments": {"timeout_s": 50}}
        raw.say({"id": 99, "method": "tools/call", "params": arguments})
        assert raw.call("status")["agent"] == "model"
        raw.process.send_signal(signal.SIGTERM)

        assert raw.end() == (0, "")


def test_the_end_of_stdin_ends_it(broker: BrokerInfo) -> None:
    with after_showing("hello") as raw:
        assert raw.process.stdin is not None
        raw.process.stdin.close()

        assert raw.end() == (0, "")
    assert comes_again()["seen_before"]


def test_a_client_that_died_without_reading_is_no_fault(broker: BrokerInfo) -> None:
    with after_showing("hello") as raw:
        assert raw.process.stdout is not None
        assert raw.process.stdin is not None
        raw.process.stdout.close()
        raw.say({"id": 99, "method": "tools/list", "params": {}})
        raw.process.stdin.close()

        assert raw.end() == (0, "")
    assert comes_again()["seen_before"]


def test_a_client_that_does_not_read_does_not_keep_it_alive(broker: BrokerInfo) -> None:
    with started("--network", "dev", "--as", "model") as raw:
        raw.shake_hands()
        for number in range(200):  # more answers than a pipe holds
            raw.say({"id": 1000 + number, "method": "tools/list", "params": {}})
        until(lambda: raw.unread() >= HALF_A_PIPE)
        raw.process.send_signal(signal.SIGTERM)

        assert raw.process.wait(10) == 0


def test_a_line_that_is_no_message_does_no_harm(broker: BrokerInfo) -> None:
    with started("--network", "dev", "--as", "model") as raw:
        raw.shake_hands()
        assert raw.process.stdin is not None
        for line in (b"hello?\n", b"\xff\xfe\n", b"[]\n", b"\n", b'{"method": 1}\n'):
            raw.process.stdin.write(line)

        assert raw.call("status")["agent"] == "model"


@pytest.mark.parametrize("name", ["bad name", "a/b"])
def test_a_name_that_cannot_be_is_told_at_once(home: object, name: str) -> None:
    for args in (["--network", name], ["--network", "dev", "--as", name]):
        with started(*args) as raw:
            code, said = raw.end()
        assert code == 2
        assert json.dumps(name).strip('"') in said
