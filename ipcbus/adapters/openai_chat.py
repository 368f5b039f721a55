"""Chat completions: what is asked, and what is answered, whole or in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from ipcbus.adapters.base import (
    ASSISTANT,
    END,
    LENGTH,
    REFUSED,
    TOOL,
    TOOLS,
    Answer,
    Said,
    Stop,
    ToolCall,
    Turn,
    Usage,
)
from ipcbus.adapters.vendor import Vendor, as_object, made_id, parsed, stopped, text_of
from ipcbus.doors.tools.formats import formatted

_STOPS: Final[dict[str, Stop]] = {
    "stop": END,
    "tool_calls": TOOLS,
    "length": LENGTH,
    "content_filter": REFUSED,
}


class Chat:
    """One way to ask an OpenAI-like server; `adapter` holds its client and options."""

    def __init__(self, adapter: Vendor) -> None:
        self._adapter = adapter

    def request(self, turn: Turn) -> dict[str, Any]:
        """OpenAI's newer models refuse the old name of the bound, and other servers do
        not know the new one, nor strict schemas."""
        is_home = self._adapter.is_home
        most = "max_completion_tokens" if is_home else "max_tokens"
        system = [{"role": "system", "content": turn.system}] if turn.system else []
        request = {
            "messages": [*system, *map(_message, turn.said)],
            most: self._adapter.most_tokens(turn),
        }
        if turn.tools:
            shape = "openai" if is_home else "ollama"
            request["tools"] = formatted(turn.tools, shape)
        if effort := self._adapter.extra.get("effort"):
            request["reasoning_effort"] = effort
        return request

    async def ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        completions = self._adapter.client.chat.completions
        parts = _Parts(on_text)
        if on_text is None:
            parts.take(await completions.create(**request))
        else:
            with_usage = {"include_usage": True}
            request = {**request, "stream": True, "stream_options": with_usage}
            async with await completions.create(**request) as chunks:
                async for chunk in chunks:
                    parts.take(chunk)
        if parts.reason is None:
            raise self._adapter.broken_off()
        return parts.answer()


class _Call:
    """A call whose arguments come in pieces."""

    def __init__(self, id_: str | None) -> None:
        self.id = id_
        self.name = ""
        self.arguments = ""

    def whole(self) -> ToolCall:
        return ToolCall(self.id or made_id(), self.name, parsed(self.arguments))


class _Parts:
    """An answer; a whole one comes as its only piece."""

    def __init__(self, on_text: Callable[[str], object] | None) -> None:
        self._on_text = on_text
        self._text = ""
        self._refusal = ""
        self._calls: list[_Call] = []
        self._open: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self.reason: str | None = None

    def take(self, piece: Any) -> None:
        if (usage := piece.usage) is not None:
            self._usage = Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0)
        for choice in piece.choices[:1]:  # the piece with the usage has none
            self.reason = choice.finish_reason or self.reason
            said = choice.delta if hasattr(choice, "delta") else choice.message
            self._take(said)

    def _take(self, said: Any) -> None:
        self._refusal += said.refusal or ""
        for place, call in enumerate(said.tool_calls or ()):
            self._call(getattr(call, "index", place), call)
        if said.content:
            self._text += said.content
            if self._on_text is not None:
                self._on_text(said.content)

    def _call(self, place: int, piece: Any) -> None:
        """Some servers give all calls the same place, so that a new id counts more."""
        call = self._open.get(place)
        if call is None or (piece.id and piece.id != call.id):
            call = self._open[place] = _Call(piece.id)
            self._calls.append(call)
        call.name += piece.function.name or ""
        call.arguments += piece.function.arguments or ""

    def answer(self) -> Answer:
        calls = tuple(call.whole() for call in self._calls)
        if self._refusal:
            return Answer(self._refusal, (), self._usage, REFUSED)
        stop = _STOPS.get(self.reason or "")
        if stop == END:
            stop = None  # whatever they call it, calls are calls
        return Answer(self._text, calls, self._usage, stopped(stop, calls))


def _message(one: Said) -> dict[str, Any]:
    if one.role == TOOL and one.call is not None:
        return {"role": "tool", "tool_call_id": one.call.id, "content": text_of(one)}
    if one.role != ASSISTANT:
        return {"role": "user", "content": text_of(one)}
    if not one.calls:
        return {"role": "assistant", "content": text_of(one)}
    calls = [_asked(call) for call in one.calls]
    return {"role": "assistant", "content": one.text or None, "tool_calls": calls}


def _asked(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(as_object(call.arguments))
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}
