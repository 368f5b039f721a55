"""Tasks that wait: woken together, each in its own time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

import ipcbus
from ipcbus.client.aio_waits import Sleepers, sleep, until_done
from ipcbus.client.pending import Bell, Pending
from ipcbus.errors import TimedOut
from ipcbus.networks import BrokerInfo


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


class Counting(Sleepers):
    """Counts how often the loop is called."""

    calls = 0

    def _wake_all(self) -> None:
        self.calls += 1
        super()._wake_all()


def test_all_that_are_woken_at_once_are_woken_by_one_call() -> None:
    async def test() -> None:
        sleepers = Counting(asyncio.get_running_loop())
        for round_ in (1, 2):
            beds = [sleepers.lie_down(float("inf")) for _ in range(100)]
            waker = threading.Thread(target=lambda: [*map(sleepers.wake, beds)])  # noqa: B023
            waker.start()
            waker.join()  # holds up the loop: it cannot look before all are there
            await asyncio.gather(*beds)
            assert sleepers.calls == round_
        assert not sleepers._ends

    run(test())


def test_each_ends_in_its_own_time_with_one_timer() -> None:
    async def test() -> None:
        begun = time.monotonic()
        pendings: list[Pending[None]] = [Pending() for _ in range(4)]
        ends = [0.2, 0.1, 0.15, 60.0]
        order: list[int] = []

        async def one(number: int) -> None:
            await until_done(pendings[number], begun + ends[number])
            order.append(number)
            assert number == 3 or time.monotonic() >= begun + ends[number]

        tasks = [asyncio.create_task(one(number)) for number in range(4)]
        await asyncio.gather(*tasks[:3])
        assert order == [1, 2, 0]
        pendings[3].resolve(None)
        await tasks[3]

    run(test())


def test_one_that_is_over_already_is_not_waited_for() -> None:
    async def test() -> None:
        done: Pending[int] = Pending()
        done.resolve(5)
        await until_done(done)
        assert await done == 5
        never: Pending[int] = Pending()
        await until_done(never, time.monotonic() - 1)

    run(test())


def test_a_cancelled_sleeper_leaves_nothing_behind() -> None:
    async def test() -> None:
        bell = Bell()
        pending: Pending[None] = Pending()
        tasks = [
            asyncio.create_task(sleep(bell, lambda: False, float("inf"))),
            asyncio.ensure_future(until_done(pending)),
        ]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not bell._sleepers
        bell.ring()
        pending.resolve(None)
        await asyncio.sleep(0)  # the loop has been called by now, if anybody did

    run(test())


def test_many_threads_wake_and_nobody_is_forgotten() -> None:
    async def test() -> None:
        pendings: list[Pending[int]] = [Pending() for _ in range(4000)]

        def resolve(first: int) -> None:
            for number in range(first, 4000, 4):
                pendings[number].resolve(number)

        threads = [threading.Thread(target=resolve, args=(n,)) for n in range(4)]

        async def one(pending: Pending[int]) -> int:
            return await pending

        waiting = asyncio.gather(*map(one, pendings))
        await asyncio.sleep(0)
        for thread in threads:
            thread.start()
        assert await waiting == list(range(4000))
        for thread in threads:
            thread.join()

    run(test())


def test_a_client_goes_from_one_loop_to_the_next(broker: BrokerInfo) -> None:
    async def begin() -> ipcbus.AsyncClient:
        client = await ipcbus.connect_async("dev", agent="alice")
        await client.send("alice", "1")
        return client

    async def go_on(client: ipcbus.AsyncClient) -> None:
        await client.send("alice", "2")
        bodies = [m.body for m in await client.receive(2, timeout=5)]
        while len(bodies) < 2:
            bodies += [m.body for m in await client.receive(2, timeout=5)]
        assert bodies == ["1", "2"]
        with pytest.raises(TimedOut):
            await client.ask("alice", "?", timeout=0.05)
        await client.close()

    client = asyncio.run(begin())
    asyncio.run(go_on(client))
