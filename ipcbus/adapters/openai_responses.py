"""Responses: what is asked, and what is answered, whole or in pieces.

Nothing is stored at OpenAI (`store`): the conversation is the bus's. What a model
thought between its calls comes back encrypted if an `effort` was asked for, and is
given back with what the tools answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from ipcbus.adapters.base import (
    ASSISTANT,
    LENGTH,
    REFUSED,
    TOOL,
    Answer,
    Said,
    Stop,
    ToolCall,
    Turn,
    Usage,
)
from ipcbus.adapters.failures import Told, failure
from ipcbus.adapters.vendor import Vendor, as_object, made_id, parsed, stopped, text_of
from ipcbus.doors.tools.formats import formatted

_SHORTENED: Final[dict[str, Stop]] = {
    "max_output_tokens": LENGTH,
    "content_filter": REFUSED,
}

_LEAST_TOKENS: Final = 16
"""OpenAI refuses a lower bound."""

_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


class Responses:
    """One way to ask an OpenAI-like server; `adapter` holds its client and options."""

    def __init__(self, adapter: Vendor) -> None:
        self._adapter = adapter

    def request(self, turn: Turn) -> dict[str, Any]:
        most = max(self._adapter.most_tokens(turn), _LEAST_TOKENS)
        request: dict[str, Any] = {
            "input": [item for one in turn.said for item in self._items(one)],
            "max_output_tokens": most,
            "store": False,
        }
        if turn.system:
            request["instructions"] = turn.system
        if turn.tools:
            request["tools"] = _tools(turn, is_strict=self._adapter.is_home)
        if effort := self._adapter.extra.get("effort"):
            request["reasoning"] = {"effort": effort}
            request["include"] = ["reasoning.encrypted_content"]
        return request

    def _items(self, one: Said) -> list[dict[str, Any]]:
        if one.role == TOOL and one.call is not None:
            id_, output = one.call.id, text_of(one)
            return [{"type": "function_call_output", "call_id": id_, "output": output}]
        if one.role != ASSISTANT or not one.calls:
            role = "assistant" if one.role == ASSISTANT else "user"
            return [{"role": role, "content": text_of(one)}]
        kept: list[dict[str, Any]] | None = self._adapter.kept.get(one.calls)
        return kept or list(_said(one))

    async def ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        responses = self._adapter.client.responses
        if on_text is None:
            return self._answer(await responses.create(**request))
        async with await responses.create(**request, stream=True) as events:
            async for event in events:
                if event.type in _ENDS:
                    return self._answer(event.response)
                if event.type == "error":
                    raise self._failed(event.code, event.message)
                if event.type == "response.output_text.delta":
                    on_text(event.delta)
        raise self._adapter.broken_off()

    def _failed(self, code: str | None, message: str) -> Exception:
        said = Told(codes=frozenset([(code or "").lower()]), text=message)
        return failure(self._adapter.name, said, self._adapter.key)

    def _answer(self, response: Any) -> Answer:
        if response.error is not None:
            raise self._failed(response.error.code, response.error.message)
        if response.status not in ("completed", "incomplete"):
            raise self._adapter.broken_off()
        usage = response.usage
        spent = Usage(usage.input_tokens, usage.output_tokens) if usage else None
        if refusal := _texts(response.output, "refusal"):
            return Answer(refusal, (), spent, REFUSED)
        asked = [item for item in response.output if item.type == "function_call"]
        calls = tuple(map(_called, asked))
        if any(item.type == "reasoning" for item in response.output):
            self._keep(calls, response.output)
        shortened = response.incomplete_details
        stop = _SHORTENED.get(shortened.reason, LENGTH) if shortened else None
        if response.status == "incomplete" and stop is None:
            stop = LENGTH
        text = _texts(response.output, "text")
        return Answer(text, calls, spent, stopped(stop, calls))

    def _keep(self, calls: tuple[ToolCall, ...], output: Iterable[Any]) -> None:
        """Thoughts that are not there in full are refused when they are given back."""
        items = [item.to_dict(warnings=False) for item in output]
        thoughts = [item for item in items if item["type"] == "reasoning"]
        if all(thought.get("encrypted_content") for thought in thoughts):
            self._adapter.kept.put(calls, items)


def _tools(turn: Turn, *, is_strict: bool) -> list[dict[str, Any]]:
    """Not all other servers know strict schemas."""
    if is_strict:
        return formatted(turn.tools, "openai-responses")
    plain = formatted(turn.tools, "ollama")
    return [{"type": "function", **tool["function"], "strict": False} for tool in plain]


def _texts(output: Iterable[Any], kind: str) -> str:
    """All texts, or all refusals, in the messages of an answer."""
    messages = (item for item in output if item.type == "message")
    parts = (part for message in messages for part in message.content)
    return "".join(getattr(part, kind, None) or "" for part in parts)


def _called(item: Any) -> ToolCall:
    return ToolCall(item.call_id or made_id(), item.name, parsed(item.arguments))


def _said(one: Said) -> Iterator[dict[str, Any]]:
    if one.text.strip():
        yield {"role": "assistant", "content": one.text}
    for call in one.calls:
        arguments = json.dumps(as_object(call.arguments))
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": arguments,
        }
