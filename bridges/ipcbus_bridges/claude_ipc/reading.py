"""A page of an agent's mail for an old program, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import ipcbus
from ipcbus_bridges.claude_ipc import files, mail
from ipcbus_bridges.claude_ipc.limits import Limits
from ipcbus_bridges.claude_ipc.mail import Incoming, Page

LEASE_S: Final = 60.0
"""Longer than an answer may take to be written and taken, many times over."""

MOST: Final = 200
"""Messages in one page: as many as fit into an answer if they are short."""

ROUNDS: Final = 8
"""Times that the network is asked for more before a page is handed out: large messages
come one by one, and take little of it."""

GROWTH: Final = 3
"""How many times larger than its request an attachment of an old program may be: a
letter of two bytes is written with six."""


class Read(NamedTuple):
    """An answer to `check`, and the messages in it, which are leased."""

    answer: bytes
    messages: list[ipcbus.AsyncMessage]

    def settle(self, was_read: bool) -> None:
        if not was_read:
            _release(self.messages)
            return
        for message in self.messages:
            with suppress(ipcbus.IpcbusError):  # closed: then it comes again
                message.ack()


async def page(
    client: ipcbus.AsyncClient, reader: str, folder: Path, limits: Limits
) -> Read:
    """What waits for `reader`, as much as an answer may have."""
    filling = _Filling(client, reader, folder, limits)
    try:
        return await filling.fill()
    except BaseException:
        _release(filling.taken)
        raise


class _Filling:
    def __init__(
        self, client: ipcbus.AsyncClient, reader: str, folder: Path, limits: Limits
    ) -> None:
        self._client, self._reader, self._folder = client, reader, folder
        self._limits = limits
        self._page = Page(limits.answer_size)
        self.taken: list[ipcbus.AsyncMessage] = []

    async def fill(self) -> Read:
        left = 0
        for _ in range(ROUNDS):
            room = max(1, self._page.room)
            messages, waiting = await self._client.fetch(MOST, room, lease=LEASE_S)
            surplus = await self._take(messages)
            _release(surplus)
            left = waiting + len(surplus)
            if surplus or not waiting or len(self.taken) >= MOST:
                break
        return Read(self._page.packed(left), self.taken)

    async def _take(
        self, messages: list[ipcbus.AsyncMessage]
    ) -> list[ipcbus.AsyncMessage]:
        """Put them into the page, in order; those that do not fit."""
        for at, message in enumerate(messages):
            try:
                packed = await self._packed(message)
            except BaseException:
                _release(messages[at:])
                raise
            if not self._page.add(packed):
                return messages[at:]
            self.taken.append(message)
        return []

    async def _packed(self, message: ipcbus.AsyncMessage) -> bytes:
        incoming = await self._incoming(message)
        most = self._limits.answer_size
        made = mail.entry(incoming, self._reader, self._client.network, most)
        if made.whole:
            made = await asyncio.to_thread(files.told, made, self._folder)
        return made.packed()

    async def _incoming(self, message: ipcbus.AsyncMessage) -> Incoming:
        attached, more = message.attachments, None
        if attached and attached[0].name == mail.MORE:
            more = await self._more(attached[0])
            attached = attached if more is None else attached[1:]
        return Incoming(
            message.id,
            message.sender,
            message.kind,
            message.trust,
            message.accepted_at,
            message.body,
            message.data,
            message.headers,
            tuple((one.name, one.size) for one in attached),
            more,
        )

    async def _more(self, attached: ipcbus.Attachment) -> dict[str, Any] | None:
        """What an old program said beside the content; None if it is none of that."""
        if attached.size > self._limits.request_size * GROWTH:
            return None
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            try:
                path = await self._client.download(attached, Path(folder) / "more")
                found = json.loads(await asyncio.to_thread(path.read_bytes))
            except (ipcbus.errors.Refused, ValueError, RecursionError):
                return None
        return found if isinstance(found, dict) else None


def _release(messages: Iterable[ipcbus.AsyncMessage]) -> None:
    for message in messages:
        with suppress(ipcbus.IpcbusError):  # closed: then it is released already
            message.release()
