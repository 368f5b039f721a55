"""What a broker would not take is refused where it is said, and costs nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import ipcbus
from ipcbus import Client
from ipcbus.client.calling import Asked
from ipcbus.client.message import Attachment
from ipcbus.errors import BoundExceeded, InvalidMessage, UsageError
from ipcbus.networks import BrokerInfo
from ipcbus.protocol import limits
from ipcbus.protocol.messages import Call
from tests.client.bus import Bus, said

LONE = "\ud800"
"""Half of a letter: Python has it, UTF-8 has not."""

CYCLE: dict[str, Any] = {}
CYCLE.update({str(n): CYCLE for n in range(40)})

DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]

MESSAGES: list[tuple[str, dict[str, Any]]] = [
    ("body", {"body": LONE}),
    ("data", {"data": object()}),
    ("data", {"data": LONE}),
    ("data", {"data": {LONE: 1}}),
    ("data", {"data": 2**64}),
    ("data", {"data": CYCLE}),
    ("data", {"data": DEEP}),
    ("data", {"data": {str(n): n for n in range(limits.MAX_MAP + 1)}}),
    ("data", {"data": [0] * (limits.MAX_ARRAY + 1)}),
    ("labels", {"labels": (LONE,)}),
    ("labels", {"labels": 5}),
    ("headers", {"headers": {LONE: "x"}}),
    ("headers", {"headers": {"x": LONE}}),
    ("content_type", {"content_type": LONE}),
    ("attach", {"attach": 5}),
    ("attach", {"attach": (Attachment("0" * 64, 1, LONE),)}),
    ("attach", {"attach": (Attachment("0" * 64, 1, "x", LONE),)}),
]

CALLS: list[tuple[str, Callable[[Client], object]]] = [
    ("show.id", lambda alice: alice.show(object())),  # type: ignore[arg-type]
    ("show.id", lambda alice: alice.show(LONE)),
    ("show.id", lambda alice: alice.show("x" * (limits.MAX_META + 1))),
    ("show.offset", lambda alice: alice.show("x", offset=2**64)),
    ("show.offset", lambda alice: alice.show("x", offset=-1)),
    ("agents.offset", lambda alice: alice.call("agents", CYCLE)),
    ("agents.offset", lambda alice: alice.call("agents", DEEP)),
    ("call", lambda alice: alice.call(LONE)),
    ("call", lambda alice: alice.call("x" * (limits.MAX_NAME + 1))),
    ("call", lambda alice: alice.call(None)),  # type: ignore[arg-type]
    ("agents", lambda alice: alice.call("agents", *[1] * 17)),
    ("head", lambda alice: alice.call("what", *["x" * limits.MAX_META] * 5)),
    ("body", lambda alice: alice.call("agents", 0, body="x")),  # type: ignore[arg-type]
    ("body", lambda alice: alice.call("agents", 0, body=b"x" * (2 * limits.MAX_BODY))),
    ("id", lambda alice: alice.wait_reply(object())),  # type: ignore[arg-type]
    ("id", lambda alice: alice.wait_reply([])),  # type: ignore[arg-type]
    ("id", lambda alice: alice.wait_reply(LONE)),
    ("id", lambda alice: alice.wait_reply("x" * 500)),
    ("id", lambda alice: alice.ask("alice", id=LONE)),
    ("max", lambda alice: alice.receive(max=0)),
    ("max", lambda alice: alice.receive(max=1.5)),  # type: ignore[arg-type]
    ("max", lambda alice: alice.receive(max="1")),  # type: ignore[arg-type]
    ("max", lambda alice: alice.fetch(max=0)),
    ("max", lambda alice: alice.fetch(max=1.5)),  # type: ignore[arg-type]
    ("max", lambda alice: alice.fetch(max=limits.MAX_CREDIT + 1)),
    ("max_bytes", lambda alice: alice.fetch(max_bytes=-1)),
    ("max_bytes", lambda alice: alice.fetch(max_bytes=1.5)),  # type: ignore[arg-type]
    ("lease", lambda alice: alice.receive(lease=0)),
    ("lease", lambda alice: alice.receive(lease=float("nan"))),
    ("lease", lambda alice: alice.receive(lease=float("inf"))),
    ("lease", lambda alice: alice.fetch(lease="1")),  # type: ignore[arg-type]
    ("timeout", lambda alice: alice.receive(timeout=float("nan"))),
    ("timeout", lambda alice: alice.receive(timeout="1")),  # type: ignore[arg-type]
    ("timeout", lambda alice: alice.fetch(timeout=float("nan"))),
    ("timeout", lambda alice: alice.send("alice", timeout=float("nan"))),
    ("timeout", lambda alice: alice.ask("alice", timeout=float("nan"))),
    ("timeout", lambda alice: alice.call("agents", 0, timeout=float("nan"))),
    ("timeout", lambda alice: alice.flush(timeout=float("nan"))),
]

SETTLEMENTS: list[tuple[str, dict[str, Any]]] = [
    ("delay", {"delay": "1"}),
    ("delay", {"delay": 1e30}),
    ("delay", {"delay": float("inf")}),
    ("delay", {"delay": float("nan")}),
    ("reason", {"reason": LONE}),
    ("reason", {"reason": 5}),
]


def goes_on(alice: Client) -> None:
    assert alice.send("alice", "still here", timeout=10).state == "accepted"
    assert not alice.closed


def test_a_message_that_cannot_be_said_is_refused_by_its_field(alice: Client) -> None:
    for field, options in MESSAGES:
        with pytest.raises(InvalidMessage) as raised:
            alice.send(**{"to": "alice", "body": "x", **options})
        assert raised.value.field == field
    goes_on(alice)


def test_a_call_that_cannot_be_said_is_refused_by_its_argument(alice: Client) -> None:
    for field, call in CALLS:
        with pytest.raises((InvalidMessage, BoundExceeded)) as raised:
            call(alice)
        facts = raised.value.facts
        assert facts.get("field", facts.get("bound")) == field
    goes_on(alice)


def test_a_settlement_that_cannot_be_said_leaves_the_delivery_as_it_was(
    alice: Client,
) -> None:
    alice.send("alice", "x")
    (message,) = alice.receive(timeout=10)
    for field, options in SETTLEMENTS:
        with pytest.raises(InvalidMessage) as raised:
            message.nack(**options)
        assert raised.value.field == field
    for seconds in ("1", 1e30, float("nan"), float("inf")):
        with pytest.raises(InvalidMessage) as raised:
            message.extend(seconds)  # type: ignore[arg-type]
        assert raised.value.field == "lease"
    message.ack().result(10)
    goes_on(alice)


@pytest.mark.parametrize(
    "options",
    [
        {"program": object()},
        {"program": LONE},
        {"program": "x" * (limits.MAX_TEXT + 1)},
        {"prefetch": 1.5},
        {"prefetch": "1"},
        {"timeout": float("nan")},
    ],
)
def test_connecting_refuses_what_a_hello_cannot_say(
    broker: BrokerInfo, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        ipcbus.connect("dev", agent="alice", **options)


def test_the_async_client_refuses_the_same(broker: BrokerInfo) -> None:
    async def main() -> None:
        async with await ipcbus.connect_async("dev", agent="alice") as alice:
            for wrong in (
                alice.call("agents", object()),
                alice.call("agents", 0, timeout=float("nan")),
                alice.wait_reply(LONE),
                alice.receive(max=0),
                alice.receive(timeout=float("nan")),
                alice.fetch(max=0),
                alice.send("alice", labels=(LONE,)),
            ):
                with pytest.raises(InvalidMessage):
                    await wrong
            assert (await alice.send("alice", "x")).state == "accepted"

    asyncio.run(main())


def test_a_timeout_that_is_over_already_is_none_at_all(alice: Client) -> None:
    assert alice.receive(timeout=-1) == []
    assert alice.fetch(timeout=-60) == ([], 0)


@pytest.mark.parametrize("wrong", [object(), LONE, 2**64, "x" * limits.MAX_HEAD])
def test_a_call_that_fails_while_it_is_said_fails_alone(bus: Bus, wrong: Any) -> None:
    """What nobody foresaw: the client goes on, and whoever asked is told."""
    first, bad, last = (Asked("agents", [0]) for _ in range(3))
    bad.args = [wrong]
    for asked in (first, bad, last):
        bus.alice.tracker.calling.call(asked)
    assert [type(message) for message in said(bus.alice)] == [Call, Call]
    with pytest.raises(UsageError):
        bad.result(0)
    assert bad not in bus.alice.tracker.calling.flying.values()
    bus.alice.cut()
    bus.broker.settle_down()
    assert first.result(0)
    assert last.result(0)
