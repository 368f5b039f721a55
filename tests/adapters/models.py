"""Models that do as they are told, and an agent that runs on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import ipcbus
from ipcbus.adapters.base import Answer, Finding, Limits, ToolCall, Turn
from ipcbus.adapters.budget import UNBOUNDED, Bounds
from ipcbus.adapters.ledger import Ledger
from ipcbus.adapters.runner import IDLE_S, Profile, Runner
from ipcbus.adapters.thinking import Character, Thinker
from ipcbus.doors.tools import Desk
from ipcbus.doors.tools.registry import BY_NAME
from ipcbus.networks import create

Answers = Callable[[Turn], Answer | Awaitable[Answer]]

WAIT_S = 20.0


class Told:
    """A model that answers by a function, and remembers what it was asked."""

    needs = ""

    def __init__(self, answers: Answers | str) -> None:
        self._answers = answers
        self.turns: list[Turn] = []

    async def turn(self, turn: Turn) -> Answer:
        self.turns.append(turn)
        if isinstance(self._answers, str):
            return Answer(self._answers)
        answer = self._answers(turn)
        return answer if isinstance(answer, Answer) else await answer

    async def check(self) -> list[Finding]:
        return []

    async def close(self) -> None:
        return

    @property
    def heard(self) -> str:
        """The last thing that it was asked."""
        return self.turns[-1].said[-1].text


def in_turn(*answers: Answer | str | Exception) -> Answers:
    """Answers one after another; the last again and again."""
    left = [*answers]

    def answer(turn: Turn) -> Answer:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return Answer(now) if isinstance(now, str) else now

    return answer


def calls(name: str, **arguments: Any) -> Answer:
    return Answer("", (ToolCall("c-1", name, arguments),), stop="tools")


class Serving:
    """An agent that serves: what it said, and the end of it."""

    task: asyncio.Task[None]

    def __init__(
        self, client: ipcbus.AsyncClient, ledger: Ledger, lines: list[str]
    ) -> None:
        self.client = client
        self.ledger = ledger
        self.lines = lines
        self.stopping = asyncio.Event()

    async def ends(self) -> None:
        """Wait for its end, before it would look for mail again; raises why."""
        await asyncio.wait_for(self.task, IDLE_S / 2)


@asynccontextmanager
async def serving(
    model: Any,
    name: str = "llama",
    *,
    tools: Sequence[str] = ("send", "ask", "agents"),
    window: int = 16_000,
    bounds: Bounds = Bounds(),  # noqa: B008  a value
    together: Bounds = UNBOUNDED,
    **profile: Any,
) -> AsyncIterator[Serving]:
    """An agent of dev that runs until the block ends."""
    network = create("dev")
    client = await ipcbus.connect_async("dev", agent=name)
    desk = Desk(("dev",), name)
    lines: list[str] = []
    ledger = Ledger(network, name)
    facts = Profile(name, bounds=bounds, together=together, **profile)
    runner = Runner(client, facts, ledger, lines.append)
    chosen = tuple(BY_NAME[each] for each in tools)
    who = Character(name, "dev", "", chosen, window, Limits(), bounds.tool_calls)
    thinker = Thinker(model, who, client, desk, runner.book)
    found = Serving(client, ledger, lines)
    found.task = asyncio.create_task(runner.run(thinker, found.stopping))
    try:
        yield found
    finally:
        found.stopping.set()
        try:
            await asyncio.wait_for(found.task, WAIT_S)
        finally:
            await client.close()
            await asyncio.to_thread(desk.close)
