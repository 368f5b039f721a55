"""Agents in a network with a real broker, and one who writes to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import ipcbus
from ipcbus.adapters import runner, thinking
from ipcbus.networks import BrokerInfo


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries come at once, and a failed message soon."""
    monkeypatch.setattr(thinking, "WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(thinking, "LONGEST_WAIT_S", 0.0)
    monkeypatch.setattr(runner, "AGAIN_S", 0.0)
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.05)


@pytest.fixture
def alice(broker: BrokerInfo) -> Iterator[ipcbus.Client]:
    with (
        ipcbus.connect("dev", agent="llama"),
        ipcbus.connect("dev", agent="alice") as a,
    ):
        yield a


async def ask(alice: ipcbus.Client, text: str, **options: Any) -> ipcbus.Message:
    return await asyncio.to_thread(
        lambda: alice.ask("llama", text, timeout=20, **options)
    )


def acked(client: ipcbus.Client) -> int:
    """Messages that were acked in its network so far."""
    return int(client.status()["counters"].get("acked", 0))


async def received(alice: ipcbus.Client, count: int = 1) -> list[ipcbus.Message]:
    found: list[ipcbus.Message] = []
    while len(found) < count:
        found += await asyncio.to_thread(alice.receive, count, 20)
    for each in found:
        each.ack()
    return found
