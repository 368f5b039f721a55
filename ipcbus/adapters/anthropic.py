"""Claude models, by Anthropic's own SDK, and servers that speak as Anthropic does.

Streams are put together here and not by the SDK, which makes sense of half an argument:
what a model has not said to its end must not be carried out.

Source: https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from ipcbus.adapters.vendor import (
    NO_KEY,
    Vendor,
    as_object,
    made_id,
    parsed,
    stopped,
    text_of,
)
from ipcbus.doors.tools.formats import formatted
from ipcbus.doors.tools.registry import BY_NAME

_STOPS: Final[dict[str, Stop]] = {
    "end_turn": END,
    "stop_sequence": END,
    "tool_use": TOOLS,
    "max_tokens": LENGTH,
    "model_context_window_exceeded": LENGTH,
    "refusal": REFUSED,
}

_TOKEN: Final = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105  the name of a variable


class Anthropic(Vendor):
    """`Messages` of the Anthropic API."""

    name = "anthropic"
    needs = "anthropic"
    package = "anthropic"
    home = "https://api.anthropic.com"
    addresses = ("ANTHROPIC_BASE_URL",)
    keys = ("ANTHROPIC_API_KEY", _TOKEN)

    def _connect(self) -> Any:
        from anthropic import AsyncAnthropic

        is_token = self.key.variable == _TOKEN
        return AsyncAnthropic(
            api_key=None if is_token else self.key.value or NO_KEY,
            auth_token=self.key.value if is_token else None,
            base_url=self.address,
            max_retries=0,
        )

    async def close(self) -> None:
        await self.client.close()

    # --- what is asked -----------------------------------------------------

    def _request(self, turn: Turn) -> dict[str, Any]:
        request = {
            "model": self.model,
            "max_tokens": self.most_tokens(turn),
            "messages": self._messages(turn.said),
            "timeout": turn.limits.timeout_s,
            **_tools(turn),
        }
        if turn.system:
            request["system"] = turn.system
        if "temperature" in self.extra:  # not all models take it, so the SDK has it not
            request["extra_body"] = {"temperature": self.extra["temperature"]}
        return request

    def _messages(self, said: Sequence[Said]) -> list[dict[str, Any]]:
        """All that tools answered has to stand in one message, after their calls."""
        found: list[dict[str, Any]] = []
        for one in said:
            role = ASSISTANT if one.role == ASSISTANT else "user"
            if not found or found[-1]["role"] != role:
                found.append({"role": role, "content": []})
            found[-1]["content"] += self._blocks(one)
        return found

    def _blocks(self, one: Said) -> list[dict[str, Any]]:
        if one.role == TOOL and one.call is not None:
            return [_result(one.call, one)]
        if not one.calls:
            return [{"type": "text", "text": text_of(one)}]
        kept: list[dict[str, Any]] | None = self.kept.get(one.calls)
        return kept or _said(one)

    # --- what is answered --------------------------------------------------

    async def _ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        if on_text is None:
            message = await self.client.messages.create(**request)
            blocks = [_block(block) for block in message.content]
            return self._answer(blocks, message.stop_reason, message.usage)
        parts = _Parts(on_text)
        async with await self.client.messages.create(**request, stream=True) as events:
            async for event in events:
                parts.take(event)
        if not parts.is_over:
            raise self.broken_off()
        return self._answer(parts.blocks, parts.reason, parts.usage)

    def _answer(
        self, blocks: list[dict[str, Any]], reason: str | None, usage: Any
    ) -> Answer:
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        asked = [block for block in blocks if block["type"] == "tool_use"]
        calls = tuple(
            ToolCall(block["id"] or made_id(), block["name"], block["input"])
            for block in asked
        )
        for block in asked:
            block["input"] = as_object(block["input"])
        self.kept.put(calls, blocks)
        stop = stopped(_STOPS.get(reason or ""), calls)
        return Answer(text, calls, _usage(usage), stop)


class _Parts:
    """An answer that comes in pieces: blocks, each begun, gone on with and ended."""

    def __init__(self, on_text: Callable[[str], object]) -> None:
        self._on_text = on_text
        self._json: dict[int, str] = {}
        self.blocks: list[dict[str, Any]] = []
        self.reason: str | None = None
        self.usage: Any = None
        self.is_over = False

    def take(self, event: Any) -> None:
        match event.type:
            case "message_start":
                self.usage = event.message.usage
            case "content_block_start":
                self.blocks.append(_block(event.content_block))
            case "content_block_delta":
                self._go_on(event.index, event.delta)
            case "content_block_stop" if event.index in self._json:
                whole = parsed(self._json.pop(event.index))
                self.blocks[event.index]["input"] = whole
            case "message_delta":
                self.reason = event.delta.stop_reason
                self._count(event.usage)
            case "message_stop":
                self.is_over = self.reason is not None and not self._json

    def _go_on(self, index: int, delta: Any) -> None:
        block = self.blocks[index]
        match delta.type:
            case "text_delta":
                block["text"] += delta.text
                self._on_text(delta.text)
            case "input_json_delta":
                self._json[index] = self._json.get(index, "") + delta.partial_json
            case "thinking_delta":
                block["thinking"] += delta.thinking
            case "signature_delta":
                block["signature"] = delta.signature

    def _count(self, usage: Any) -> None:
        """The counts so far, in all; those that are left out are as they were."""
        for name in ("input_tokens", "output_tokens", *_CACHED):
            if (count := getattr(usage, name, None)) is not None:
                setattr(self.usage, name, count)


_CACHED: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")


def _usage(usage: Any) -> Usage:
    """What is read from a cache is counted apart from the rest of the input."""
    cached = sum(getattr(usage, name, None) or 0 for name in _CACHED)
    return Usage((usage.input_tokens or 0) + cached, usage.output_tokens or 0)


def _block(block: Any) -> dict[str, Any]:
    found: dict[str, Any] = block.to_dict(warnings=False)  # of what is no object
    return found


def _said(one: Said) -> list[dict[str, Any]]:
    """An answer with calls of which nothing else is known any more."""
    text = [{"type": "text", "text": one.text}] if one.text.strip() else []
    return [*text, *map(_call, one.calls)]


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = as_object(call.arguments)
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _result(call: ToolCall, one: Said) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call.id, "content": text_of(one)}


def _tools(turn: Turn) -> dict[str, Any]:
    """Where a conversation has calls in it the tools must be there, also when no more
    may be called."""
    if turn.tools:
        return {"tools": formatted(turn.tools, "anthropic")}
    called = {call.name for call in _calls(turn.said)}
    known = [tool for name, tool in BY_NAME.items() if name in called]
    if not known:
        return {}
    return {"tools": formatted(known, "anthropic"), "tool_choice": {"type": "none"}}


def _calls(said: Iterable[Said]) -> Iterable[ToolCall]:
    return (call for one in said for call in one.calls)
