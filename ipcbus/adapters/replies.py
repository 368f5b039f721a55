"""Answers, each sent once.

The id of an answer is made of the id of the message that it answers, so sending it
again is the same message. An answer to several names all of them in a header, for a
message that comes again may come in other company.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ipcbus.adapters.prompt import NO_REPLY
from ipcbus.adapters.thinking import derived_id
from ipcbus.client.aio import AsyncClient
from ipcbus.client.message import AsyncMessage, Attachment
from ipcbus.errors import (
    BoundExceeded,
    IdClash,
    NoSuchMessage,
    Refused,
    StoreFull,
    UnknownRecipient,
)
from ipcbus.protocol.address import fold
from ipcbus.protocol.limits import MAX_BODY

ANSWERS: Final = "answers"
"""The header with the ids of all messages that an answer answers."""

LOOKED_AT: Final = 200
"""Messages with a sender in which an answer of several is looked for."""

BEGINNING: Final = 10 * 1024
"""Letters of an answer too long for a message that stand in it; all is attached."""


class Replies:
    """Sends the answers of `name`."""

    def __init__(
        self, client: AsyncClient, name: str, tell: Callable[[str], object]
    ) -> None:
        self._client = client
        self._name = name
        self._tell = tell

    async def send(self, batch: Sequence[AsyncMessage], text: str) -> bool:
        """Answer the last of `batch`, for all of it. False if there is nothing to
        say, or the bus refuses it for good. Raises `BoundExceeded` and `StoreFull` if
        it has no room now."""
        # JSON of platforms may have half letters, which no message can hold.
        text = text.encode(errors="replace").decode().strip()
        if not text or text.rstrip(".") == NO_REPLY:
            return False
        last = batch[-1]
        body, attach = await self._fitting(text)
        try:
            await last.reply(
                body,
                id=self._id(last),
                headers={ANSWERS: " ".join(each.id for each in batch)},
                attach=attach,
            )
        except IdClash:
            return True  # it was sent before, in other words
        except (BoundExceeded, StoreFull):
            raise
        except (Refused, UnknownRecipient) as error:
            self._tell(f"the answer to {last.sender} was refused: {error}")
            return False
        return True

    async def has(self, message: AsyncMessage) -> bool:
        """Whether `message`, which came before, was answered then."""
        try:
            await self._client.show(self._id(message), body_limit=0)
        except NoSuchMessage:
            return await self._was_answered_with_others(message)
        return True

    async def _was_answered_with_others(self, message: AsyncMessage) -> bool:
        page = await self._client.history(LOOKED_AT, other=message.sender, body_limit=0)
        return any(
            message.id in (record.meta.headers or {}).get(ANSWERS, "").split()
            for record in page.records
            if fold(record.header.sender) == fold(self._name)
        )

    def _id(self, message: AsyncMessage) -> str:
        return derived_id("reply", f"{fold(self._name)} {message.id}")

    async def _fitting(self, text: str) -> tuple[str, tuple[Attachment, ...]]:
        whole = text.encode()
        if len(whole) <= MAX_BODY:
            return text, ()
        stored = await self._client.upload(whole, "answer.txt")
        return f"{text[:BEGINNING]}\n[all of it is attached]", (stored,)
