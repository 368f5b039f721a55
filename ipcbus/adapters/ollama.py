"""Local models, by Ollama's own SDK.

Ollama forgets the beginning of a conversation that is longer than its window, which is
small unless it is told otherwise: see the option `num_ctx`.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final

from ipcbus.adapters.base import (
    ASSISTANT,
    LENGTH,
    TOOL,
    Answer,
    Said,
    Stop,
    ToolCall,
    Turn,
    Usage,
)
from ipcbus.adapters.given import flag, whole
from ipcbus.adapters.vendor import EXTRAS, Vendor, as_object, made_id, stopped, text_of
from ipcbus.doors.tools.formats import formatted

_STOPS: Final[dict[str, Stop]] = {"length": LENGTH}


class Ollama(Vendor):
    """`/api/chat` of an Ollama server."""

    name = "ollama"
    needs = "ollama"
    package = "ollama"
    home = "http://127.0.0.1:11434"
    addresses = ("OLLAMA_HOST",)
    keys = ("OLLAMA_API_KEY",)
    wants_key = False
    extras = {**EXTRAS, "num_ctx": whole(1, 100_000_000), "think": flag}

    def _connect(self) -> Any:
        from ollama import AsyncClient

        headers = (
            {"authorization": f"Bearer {self.key.value}"} if self.key.value else {}
        )
        return AsyncClient(host=self.address, headers=headers)

    async def close(self) -> None:
        await self.client.close()

    # --- what is asked -----------------------------------------------------

    def _request(self, turn: Turn) -> dict[str, Any]:
        system = [{"role": "system", "content": turn.system}] if turn.system else []
        options = {"num_predict": self.most_tokens(turn)}
        known = {name: self.extra.get(name) for name in ("temperature", "num_ctx")}
        options |= {name: value for name, value in known.items() if value is not None}
        return {
            "model": self.model,
            "messages": [*system, *map(self._message, turn.said)],
            "tools": formatted(turn.tools, "ollama"),
            "options": options,
            "think": self.extra.get("think"),
        }

    def _message(self, one: Said) -> dict[str, Any]:
        if one.role == TOOL and one.call is not None:
            name = one.call.name
            return {"role": "tool", "tool_name": name, "content": text_of(one)}
        if one.role != ASSISTANT:
            return {"role": "user", "content": text_of(one)}
        if not one.calls:
            return {"role": "assistant", "content": text_of(one)}
        thought = self.kept.get(one.calls)
        calls = [{"function": _asked(call)} for call in one.calls]
        said = {"role": "assistant", "content": one.text, "tool_calls": calls}
        return {**said, "thinking": thought} if thought else said

    # --- what is answered --------------------------------------------------

    async def _ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        parts = _Parts(on_text)
        if on_text is None:
            parts.take(await self.client.chat(**request))
        else:
            stream = await self.client.chat(**request, stream=True)
            async with aclosing(stream):
                async for piece in stream:
                    parts.take(piece)
        if not parts.is_over:
            raise self.broken_off()
        calls = tuple(parts.calls)
        self.kept.put(calls, parts.thought)
        stop = stopped(_STOPS.get(parts.reason or ""), calls)
        return Answer(parts.text, calls, parts.usage, stop)


class _Parts:
    """An answer; a whole one comes as its only piece."""

    def __init__(self, on_text: Callable[[str], object] | None) -> None:
        self._on_text = on_text
        self.text = ""
        self.thought = ""
        self.calls: list[ToolCall] = []
        self.reason: str | None = None
        self.usage: Usage | None = None
        self.is_over = False

    def take(self, piece: Any) -> None:
        said = piece.message
        self.thought += said.thinking or ""
        self.calls += map(_called, said.tool_calls or ())
        if said.content:
            self.text += said.content
            if self._on_text is not None:
                self._on_text(said.content)
        if piece.done:
            self.is_over = True
            self.reason = piece.done_reason
            if piece.eval_count is not None:
                self.usage = Usage(piece.prompt_eval_count or 0, piece.eval_count)


def _called(call: Any) -> ToolCall:
    """Ollama gives no ids."""
    return ToolCall(made_id(), call.function.name, dict(call.function.arguments))


def _asked(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": as_object(call.arguments)}
