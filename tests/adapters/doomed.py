"""An agent, run as a process, that kills itself at one step of a turn.

    python -m tests.adapters.doomed STEP

Its model sends a message to bob by a tool, then answers. Without a STEP of `STEPS` it
serves until a message is acked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from ipcbus.adapters.base import Answer, Turn
from ipcbus.adapters.replies import Replies
from ipcbus.adapters.runner import Runner
from ipcbus.adapters.thinking import Thinker
from ipcbus.client.message import AsyncMessage
from tests.adapters.models import Told, calls, serving
from tests.waiting import until_async

STEPS = (
    "leased",
    "asked",
    "tool sent",
    "answer made",
    "answer sent",
    "acked",
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def around(kind: Any, name: str, *, before: bool = False, after: bool = False) -> None:
    """Die before `kind.name` is called, or when it has returned."""
    real: Callable[..., Any] = getattr(kind, name)

    async def doomed(*args: Any, **kwargs: Any) -> Any:
        if before:
            die()
        result = real(*args, **kwargs)
        if asyncio.iscoroutine(result):
            result = await result
        if after:
            die()
        return result

    setattr(kind, name, doomed)


def acked_once() -> None:
    """Die when the ack is on disk."""
    real = AsyncMessage.ack

    async def doomed(self: AsyncMessage) -> None:
        await real(self)
        die()

    AsyncMessage.ack = doomed  # type: ignore[assignment, method-assign]


def doom(step: str) -> None:
    match step:
        case "leased":
            around(Runner, "_turn", before=True)
        case "tool sent":
            around(Thinker, "_carry_out", after=True)
        case "answer made":
            around(Replies, "send", before=True)
        case "answer sent":
            around(Replies, "send", after=True)
        case "acked":
            acked_once()


async def main(step: str) -> None:
    def answer(turn: Turn) -> Answer:
        if step == "asked":
            die()
        if turn.said[-1].role == "tool":
            return Answer("Told bob.")
        return calls("send", to="bob", text="alice says hi")

    doom(step)
    model = Told(answer)
    async with serving(model) as served:

        async def is_over() -> bool:
            counters = (await served.client.status())["counters"]
            return not step and bool(counters.get("acked"))

        await until_async(is_over)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
