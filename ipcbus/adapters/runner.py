"""An agent whose mail is answered by a model.

    wait for mail -> lease -> conversations, each one turn at a time -> reply -> ack

Nothing is acked before the bus has stored the reply. A runner that is killed at any
moment leaves its leases behind: the messages come again, and those that were answered
already are known by the ids of their answers, which are made of theirs. An idle agent
only waits; it costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final, NamedTuple

from ipcbus.adapters.base import Usage
from ipcbus.adapters.budget import (
    UNBOUNDED,
    Account,
    Bounds,
    Price,
    Stopped,
    over,
    over_day,
    price_of,
)
from ipcbus.adapters.ledger import Ledger
from ipcbus.adapters.progress import PROGRESS, Progress
from ipcbus.adapters.replies import Replies
from ipcbus.adapters.thinking import Thinker
from ipcbus.client.aio import AsyncClient
from ipcbus.client.message import AsyncMessage
from ipcbus.doors.tools.desk import Turn as Shown
from ipcbus.errors import (
    AdapterMissing,
    CannotServe,
    IpcbusError,
    KeyRefused,
    Overloaded,
    StaleLease,
)
from ipcbus.protocol.address import fold
from ipcbus.protocol.messages import ACK, BOUNCE, CONTROL, REPLY, TRUST_BROKER

LEASE_S: Final = 120.0
HOLD_EVERY_S: Final = 40.0
"""A turn may take longer than a lease: leases are extended while it goes on."""

BURST: Final = 10
"""Messages that are taken at once; of one conversation they are one turn. So many ids,
of 97 letters with their networks, fit into the header of the answer to all of them."""

IDLE_S: Final = 30.0
LOOK_EVERY_S: Final = 2.0
"""Seconds between looks whether a stopped agent may go on."""

PAUSED: Final = "paused"
"""The label of what tells that an agent has stopped."""

AGAIN_S: Final = 30.0
LATER: Final = 4
"""After so many seconds a message comes again whose turn failed, and so many times
later each time, up to half an hour: of five attempts the last is 42 minutes after the
first."""


class Profile(NamedTuple):
    """How the agent works, beside who it is (`Character`).

    Attributes:
        human: the agent that is told when this one stops; empty: nobody.
        model: by which the price is found.
        together: bounds of all agents of the network together.
        conversations: that go on at once.
    """

    name: str
    human: str = ""
    model: str = ""
    bounds: Bounds = Bounds()
    together: Bounds = UNBOUNDED
    prices: dict[str, Price] = {}
    conversations: int = 4


class Runner:
    """Serves one agent until it is told to stop."""

    def __init__(
        self,
        client: AsyncClient,
        profile: Profile,
        ledger: Ledger,
        tell: Callable[[str], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._profile = profile
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._replies = Replies(client, profile.name, tell)
        self._thinker: Thinker | None = None
        self._queues: dict[str, list[AsyncMessage]] = {}
        self._held: dict[str, list[AsyncMessage]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(profile.conversations)
        self._fatal: BaseException | None = None
        self._failed = asyncio.Event()

    async def book(self, usage: Usage | None) -> None:
        """What a request to the model cost."""
        price = price_of(self._profile.model, self._profile.prices)
        now = self._clock()
        await self._change(lambda account: account.spend(usage, price, now))

    # --- the loop ----------------------------------------------------------

    async def run(self, thinker: Thinker, stopping: asyncio.Event) -> None:
        """Answer mail until `stopping` is set. Raises what cannot be mended here: a
        key that the platform refuses, a broker that cannot be had."""
        self._thinker = thinker
        holding = asyncio.create_task(self._hold_on())
        try:
            while not stopping.is_set() and self._fatal is None:
                if await self._may_go_on():
                    await self._receive(stopping)
                else:
                    await _first(stopping.wait(), asyncio.sleep(LOOK_EVERY_S))
        finally:
            holding.cancel()
            await self._leave()
        if self._fatal is not None:
            raise self._fatal

    async def _receive(self, stopping: asyncio.Event) -> None:
        """Take a burst of mail, and give each conversation its part."""
        if self._slots.locked():
            await _first(stopping.wait(), *self._tasks)
            return
        fetching = self._client.fetch(BURST, lease=LEASE_S, timeout=IDLE_S)
        found = await _first(fetching, stopping.wait(), self._failed.wait())
        if isinstance(found, tuple):
            for message in found[0]:
                self._take(message)

    def _take(self, message: AsyncMessage) -> None:
        key = message.thread or f"with {message.sender}"
        self._held.setdefault(key, []).append(message)
        if key in self._queues:
            self._queues[key].append(message)
            return
        self._queues[key] = [message]
        task = asyncio.create_task(self._converse(key))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What no turn expects is a fault of ours: better no agent than a mute one."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End soon, and say why; mail that could be waited for comes too late."""
        self._fatal = error
        self._failed.set()

    async def _converse(self, key: str) -> None:
        """Turns of one conversation, one after another; what came meanwhile is one."""
        try:
            async with self._slots:
                while queue := self._queues[key]:
                    self._queues[key] = queue[BURST:]
                    await self._turn(queue[:BURST])
        finally:
            del self._queues[key], self._held[key]

    async def _hold_on(self) -> None:
        while True:
            await asyncio.sleep(HOLD_EVERY_S)
            for message in chain.from_iterable(self._held.values()):
                if not message.settled:
                    with suppress(IpcbusError):
                        message.extend(LEASE_S)

    async def _leave(self) -> None:
        """End what goes on. What is not answered the client gives back at its end."""
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- a turn ------------------------------------------------------------

    async def _turn(self, batch: list[AsyncMessage]) -> None:
        try:
            await self._take_turn(batch)
        except TimeoutError:
            seconds = self._profile.bounds.turn_s
            self._give_back(batch, f"a turn took longer than {seconds:g} s")
        except (KeyRefused, AdapterMissing, CannotServe) as error:
            self._fail(error)  # for a person: a key, a library, the ledger
            for each in batch:
                each.release()
        except Overloaded as error:
            self._give_back(batch, str(error), error.retry_after_s)
        except IpcbusError as error:
            self._give_back(batch, str(error))

    async def _take_turn(self, batch: list[AsyncMessage]) -> None:
        batch = [each for each in batch if await self._needs_answer(each)]
        if not batch:
            return
        thread = batch[-1].thread or batch[-1].id  # as its answer will have it
        stopped, is_new = await self._change(lambda one: self._over(one, thread, batch))
        if stopped is None:
            await self._think_and_answer(thread, batch)
            return
        for each in batch:
            each.release()
        if is_new:
            await self._tell_of(stopped, {each.sender for each in batch})

    async def _think_and_answer(self, thread: str, batch: list[AsyncMessage]) -> None:
        assert self._thinker is not None
        with self._thinker.reading() as shown:
            async with asyncio.timeout(self._profile.bounds.turn_s or None):
                text = await self._think(batch, shown)
            await self._answer(thread, batch, text)

    async def _needs_answer(self, message: AsyncMessage) -> bool:
        """Acks those that nobody answers, and those that were answered already. What
        it answered itself is one of the first: it would do so without end."""
        done = message.kind in (ACK, BOUNCE, CONTROL) or message.trust == TRUST_BROKER
        own = fold(message.sender) == fold(self._profile.name)
        if (
            done
            or (own and message.kind == REPLY)
            or (message.attempt > 1 and await self._replies.has(message))
        ):
            await message.ack()
            return False
        return True

    async def _think(self, batch: Sequence[AsyncMessage], shown: Shown) -> str:
        assert self._thinker is not None
        thread = batch[-1].thread
        listeners = [each for each in batch if PROGRESS in each.labels]
        if not listeners:
            return await self._thinker.answer(thread, batch, shown)
        async with Progress(self._client, listeners[-1]) as progress:
            return await self._thinker.answer(thread, batch, shown, progress)

    async def _answer(self, thread: str, batch: list[AsyncMessage], text: str) -> None:
        """Whoever lost a lease says nothing: another runner has that message, perhaps
        with others, and its answer to them is one to this as well."""
        for held in [each.extend(LEASE_S) for each in batch]:
            await held
        peer, now = batch[-1].sender, self._clock()
        is_said = await self._replies.send(batch, text)
        for each in batch:
            with suppress(StaleLease):  # it comes again, and is known by its answer
                await each.ack()
        await self._change(
            lambda one: one.took_turn(thread, peer if is_said else None, now)
        )

    def _give_back(
        self, batch: list[AsyncMessage], reason: str, at_least_s: float = 0.0
    ) -> None:
        """Each comes again, later each time: a platform may be down for an hour. Those
        that are acked stay so."""
        delays = [AGAIN_S * LATER ** min(each.attempt - 1, 3) for each in batch]
        delay_s = max(at_least_s, *delays)
        self._tell(f"{reason}; {len(batch)} messages come again in {delay_s:g} s")
        for each in batch:
            each.nack(delay=delay_s, reason=reason)

    # --- bounds ------------------------------------------------------------

    def _over(
        self, account: Account, thread: str, batch: Sequence[AsyncMessage]
    ) -> tuple[Stopped | None, bool]:
        """Why this agent must stop, if it must, and whether it is news."""
        if account.stopped is not None:
            return account.stopped, False
        now = self._clock()
        profile = self._profile
        stopped = over(account, profile.bounds, thread, batch[-1].sender, now)
        stopped = stopped or over_day(self._ledger.everybody(), profile.together, now)
        account.stopped = stopped
        return stopped, True

    async def _tell_of(self, stopped: Stopped, senders: set[str]) -> None:
        """The agent has stopped; its mail is kept. Its senders and the human learn it
        once, so that what they are told can be no part of a loop."""
        name = self._profile.name
        until = f"until somebody says: ipcbus resume {name}"
        if stopped.until:
            until = time.strftime("until %H:%M UTC", time.gmtime(stopped.until))
        text = f"{name} is paused {until} ({stopped.reason}); its mail is kept"
        self._tell(text)
        for sender in senders:
            await self._notify(sender, text)
        if self._profile.human:
            await self._notify(self._profile.human, text, future=True)

    async def _notify(self, to: str, text: str, **options: Any) -> None:
        try:
            await self._client.send(to, text, labels=(PAUSED,), **options)
        except IpcbusError as error:
            self._tell(f"{to} could not be told: {error}")

    async def _may_go_on(self) -> bool:
        stopped = (await asyncio.to_thread(self._ledger.read)).stopped
        if stopped is None:
            return True
        if not stopped.until or self._clock() < stopped.until:
            return False
        await self._change(Account.resume)
        return True

    async def _change(self, change: Callable[[Account], Any]) -> Any:
        return await asyncio.to_thread(self._ledger.change, change)


async def _first(*awaitables: Any) -> Any:
    """The result of what is done first; the others that were made here are cancelled,
    tasks of others are left alone."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    own = [
        task for task, each in zip(tasks, awaitables, strict=True) if task is not each
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in own:
            if not task.done():
                task.cancel()
    finished = next(task for task in tasks if task in done)
    return finished.result() if finished in own else None
