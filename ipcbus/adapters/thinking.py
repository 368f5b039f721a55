"""One turn of a model: the conversation so far, its tools, and what it answers.

What a turn does twice after a crash must not be done twice: a message that the model
sends gets an id made of the turn and of what it says, so that the same words to the
same agent are the same message.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Final, NamedTuple

from ipcbus.adapters.base import (
    TOOL,
    USER,
    Adapter,
    Answer,
    Limits,
    Said,
    ToolCall,
    Turn,
    Usage,
)
from ipcbus.adapters.prompt import joined, said, summary_prompt, system_prompt
from ipcbus.client.aio import AsyncClient
from ipcbus.client.message import AsyncMessage
from ipcbus.client.words import Page, Record
from ipcbus.doors.tools.calls import call as carry_out
from ipcbus.doors.tools.desk import Desk
from ipcbus.doors.tools.desk import Turn as Shown
from ipcbus.doors.tools.tool import Tool
from ipcbus.doors.view import of_message, of_record
from ipcbus.errors import (
    AdapterFailed,
    AdapterMissing,
    InvalidMessage,
    IpcbusError,
    KeyRefused,
    NoSuchMessage,
    TooLong,
)
from ipcbus.protocol.address import fold

HISTORY: Final = 60
"""Messages of the past that are looked at; what is older is in the summary, or gone."""

BODY_BYTES: Final = 8 * 1024
"""Of each of them."""

LETTERS_PER_TOKEN: Final = 3
"""Low, so that a guess is rather too long than too short."""

WAITS_S: Final = (1.0, 4.0, 15.0)
"""Seconds between tries; more if the platform says so."""

LONGEST_WAIT_S: Final = 60.0

NO_MORE_TOOLS: Final = "No more tools can be called in this turn; answer in words now."

Book = Callable[[Usage | None], Awaitable[None]]
"""Books what a request cost."""


class Character(NamedTuple):
    """Who the agent is, and how it works.

    Attributes:
        tools: those that it may call.
        window: tokens of conversation that its model is shown.
        tool_calls: that it may make in one turn; 0 is no bound.
    """

    name: str
    network: str
    persona: str = ""
    tools: tuple[Tool, ...] = ()
    window: int = 16_000
    limits: Limits = Limits()
    tool_calls: int = 20


class Thinker:
    """Asks the model, with what it has to know, until it answers in words."""

    def __init__(
        self,
        adapter: Adapter,
        character: Character,
        client: AsyncClient,
        desk: Desk,
        book: Book,
    ) -> None:
        self._adapter = adapter
        self._who = character
        self._client = client
        self._desk = desk
        self._book = book
        self._system = system_prompt(
            character.name,
            character.network,
            character.persona,
            can_send=any(tool.name == "send" for tool in character.tools),
        )
        self._summaries: dict[str, tuple[int, str]] = {}

    async def answer(
        self,
        thread: str | None,
        batch: Sequence[AsyncMessage],
        shown: Shown,
        on_text: Callable[[str], object] | None = None,
    ) -> str:
        """What the model answers to `batch`, all of one conversation."""
        new = [said(of_message(each), self._who.name) for each in batch]
        past = await self._past(thread, batch)
        turn_id = batch[0].id  # others may have joined it when it comes again
        try:
            return await self._loop([*past, *new], turn_id, shown, on_text)
        except TooLong:
            if not past:
                raise
            return await self._loop(new, turn_id, shown, on_text)

    def reading(self) -> AbstractContextManager[Shown]:
        """What tools show to the model within this is acked when it ends well."""
        return self._desk.turn(is_sign=False).read()

    # --- what was said before ----------------------------------------------

    async def _past(
        self, thread: str | None, batch: Sequence[AsyncMessage]
    ) -> list[Said]:
        """The conversation before `batch`, within the window. Without a thread it is
        what was exchanged with the sender."""
        key = thread or f"with {batch[-1].sender}"
        other = None if thread else batch[-1].sender
        page = await self._client.history(
            HISTORY, other=other, thread=thread, body_limit=BODY_BYTES
        )
        ids = {each.id for each in batch}
        since, summary = self._summaries.get(key, (0, ""))
        records = [
            record
            for record in (*await self._root(thread, page), *reversed(page.records))
            if record.seq > since
            and record.header.id not in ids
            and self._is_past(record)
        ]
        found = [*_before(summary), *map(self._said, records)]
        if _tokens(found) <= self._who.window or len(records) < 2:
            return found
        return await self._summarised(key, summary, records)

    async def _root(self, thread: str | None, page: Page) -> list[Record]:
        """The message that began a thread is not in it, if the thread has its id."""
        if thread is None or page.more:
            return []
        try:
            return [await self._client.show(thread, body_limit=BODY_BYTES)]
        except (NoSuchMessage, InvalidMessage):
            return []

    def _is_past(self, record: Record) -> bool:
        """Not what others wrote and nobody has read yet: that is for another turn."""
        own = fold(record.header.sender) == fold(self._who.name)
        return own or record.state == "done"

    def _said(self, record: Record) -> Said:
        return said(of_record(record, self._who.network), self._who.name)

    async def _summarised(
        self, key: str, summary: str, records: list[Record]
    ) -> list[Said]:
        """The older part in the model's own summary, the newer as it is."""
        at, room = len(records), self._who.window / 2
        while at > 1 and (room := room - _tokens([self._said(records[at - 1])])) > 0:
            at -= 1
        older, newer = records[:at], records[at:]
        text = "\n\n".join(self._said(record).text for record in older)
        text = text[-self._who.window * LETTERS_PER_TOKEN :]
        asked = Said(USER, f"{summary}\n\n{text}".strip())
        limits = self._who.limits._replace(max_tokens=1024)
        with suppress(TooLong):  # then what is older is gone
            summary = (
                await self._ask(Turn(summary_prompt(), (asked,), (), limits))
            ).text
        self._summaries[key] = (older[-1].seq, summary)
        return [*_before(summary), *map(self._said, newer)]

    # --- the model ---------------------------------------------------------

    async def _loop(
        self,
        conversation: list[Said],
        turn_id: str,
        shown: Shown,
        on_text: Callable[[str], object] | None,
    ) -> str:
        """Ask, carry out the tools that it calls, and ask again."""
        conversation = joined(conversation)
        left = self._who.tool_calls or float("inf")
        while True:
            tools = self._who.tools if left > 0 else ()
            turn = Turn(
                self._system, tuple(conversation), tools, self._who.limits, on_text
            )
            answer = await self._ask(turn)
            if not answer.calls or not tools:
                return answer.text
            conversation.append(Said("assistant", answer.text, answer.calls))
            for one in answer.calls:
                left -= 1
                using = self._carry_out(one, turn_id, shown, left >= 0)
                conversation.append(await using)
            if left <= 0:
                conversation.append(Said(USER, NO_MORE_TOOLS))

    async def _ask(self, turn: Turn) -> Answer:
        """Ask, and once more when the platform fails or is overloaded; the lease is
        held meanwhile."""
        for wait_s in (*WAITS_S, None):
            try:
                answer = await self._turn(turn)
            except (KeyRefused, TooLong, AdapterMissing):
                raise
            except AdapterFailed as error:
                if wait_s is None:
                    raise
                wanted = float(error.facts.get("retry_after_s", 0))
                await asyncio.sleep(min(max(wait_s, wanted), LONGEST_WAIT_S))
            else:
                await self._book(answer.usage)
                return answer
        raise AssertionError("the last try returns or raises")

    async def _turn(self, turn: Turn) -> Answer:
        name = type(self._adapter).__name__
        try:
            answer: Any = await self._adapter.turn(turn)
        except IpcbusError:
            raise
        except Exception as error:  # of an adapter that is not ours
            raise AdapterFailed(adapter=name, reason=repr(error)) from error
        if not isinstance(answer, Answer):
            reason = f"its turn gave no Answer but {answer!r:.100}"
            raise AdapterFailed(adapter=name, reason=reason)
        return answer

    async def _carry_out(
        self, one: ToolCall, turn_id: str, shown: Shown, is_allowed: bool
    ) -> Said:
        """Use a tool; what it answered. Not allowed is an answer as well: platforms
        want one for each call."""
        if not is_allowed or one.name not in {tool.name for tool in self._who.tools}:
            error = {"code": "not_permitted", "message": f"no {one.name} in this turn"}
            return Said(TOOL, json.dumps({"error": error}), call=one)
        arguments = safe_to_repeat(turn_id, one)
        with shown.taken() as desk:
            answer = await asyncio.to_thread(carry_out, desk, one.name, arguments)
        return Said(TOOL, json.dumps(answer, default=str), call=one)


def safe_to_repeat(turn_id: str, one: ToolCall) -> Any:
    """The arguments of a call; with an id for what would else be sent again if the
    turn has to be done again."""
    arguments = one.arguments
    if one.name != "send" or not isinstance(arguments, dict) or arguments.get("id"):
        return arguments
    return {**arguments, "id": derived_id("turn", turn_id, arguments)}


def derived_id(kind: str, of: str, content: Any = None) -> str:
    """An id that is the same for the same things."""
    text = json.dumps([kind, of, content], sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _before(summary: str) -> list[Said]:
    text = f"[summary of what was said before]\n{summary}"
    return [Said(USER, text)] if summary else []


def _tokens(conversation: Sequence[Said]) -> int:
    return sum(len(one.text) for one in conversation) // LETTERS_PER_TOKEN
