"""What a model has said so far, for those who asked to be told.

A message with the label `progress` asks for it. What is told is of kind `ack`: it
wakes nobody, is answered by nobody, and is gone after a minute.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final, Self

from ipcbus.client.aio import AsyncClient
from ipcbus.client.message import AsyncMessage
from ipcbus.errors import IpcbusError
from ipcbus.protocol.messages import ACK

PROGRESS: Final = "progress"

EVERY_S: Final = 2.0
TTL_S: Final = 60.0
LETTERS: Final = 2_000
"""Of what was said last."""


class Progress:
    """Called with pieces of an answer; tells the sender of `message` now and then."""

    def __init__(self, client: AsyncClient, message: AsyncMessage) -> None:
        self._client = client
        self._message = message
        self._text = ""
        self._told = time.monotonic()
        self._telling: set[asyncio.Task[None]] = set()

    def __call__(self, piece: str) -> None:
        self._text += piece
        now = time.monotonic()
        if now - self._told >= EVERY_S:
            self._told = now
            task = asyncio.get_running_loop().create_task(self._tell())
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        with suppress(IpcbusError):  # the answer itself comes anyhow
            await self._client.send(
                self._message.sender,
                self._text[-LETTERS:],
                kind=ACK,
                reply_to=self._message.id,
                thread=self._message.thread or self._message.id,
                labels=(PROGRESS,),
                ttl=TTL_S,
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """What is told late would come after the answer."""
        await asyncio.gather(*self._telling)
