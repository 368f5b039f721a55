"""Iteration takes what other readers have asked for, on its own terms."""

from __future__ import annotations

import asyncio

import ipcbus
from ipcbus import Client, Outgoing
from ipcbus.networks import BrokerInfo


def test_it_holds_for_a_minute_what_was_asked_for_with_a_short_lease(
    alice: Client, bob: Client
) -> None:
    alice.send_many([Outgoing("bob", str(n)) for n in range(3)])
    (first,) = bob.receive(1, lease=2.0, timeout=5)
    assert first.lease_ms == 2000
    for message in bob:
        assert message.body == "1"
        bob.flush()
        assert message.lease_ms == 60_000
        break


def test_a_task_that_iterates_does_so_too(alice: Client, broker: BrokerInfo) -> None:
    alice.send_many([Outgoing("alice", str(n)) for n in range(3)])

    async def test() -> None:
        async with await ipcbus.connect_async("dev", agent="alice") as reader:
            await reader.receive(1, lease=2.0, timeout=5)
            async for message in reader:
                await reader.flush()
                assert message.lease_ms == 60_000
                return

    asyncio.run(asyncio.wait_for(test(), 30))
