"""Gemini models, by Google's own SDK.

Sources: https://ai.google.dev/gemini-api/docs/function-calling; for the signatures of
thoughts, without which newer models refuse to go on after a call,
https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

from ipcbus.adapters.base import (
    ASSISTANT,
    END,
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
from ipcbus.adapters.vendor import (
    MADE,
    NO_KEY,
    Vendor,
    as_object,
    made_id,
    stopped,
    text_of,
)
from ipcbus.doors.tools.formats import formatted
from ipcbus.errors import AdapterFailed

_STOPS: Final[dict[str, Stop]] = {
    "STOP": END,
    "MAX_TOKENS": LENGTH,
    "CONTINUATION": LENGTH,
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT"),
            *("SPII", "ESCALATION", "PUP_LIMITED_DISABLED", "MODEL_ARMOR"),
        ),
        REFUSED,
    ),
}

_VERSION: Final = "v1beta"
"""All servers have it; the SDK's own choice is newer."""

_UNSIGNED: Final = b"skip_thought_signature_validator"
"""Google's word for a call that its model did not sign."""

_BAD_ENDS: Final = (
    *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
    *("OTHER", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"),
    "FINISH_REASON_UNSPECIFIED",
)
"""Of a call that Google cannot read it does not say the text, so that the model cannot
be told; asked again, it mostly does better."""


class Gemini(Vendor):
    """`generateContent` of the Gemini API."""

    name = "gemini"
    needs = "gemini"
    package = "google-genai"
    home = "https://generativelanguage.googleapis.com"
    addresses = ("GOOGLE_GEMINI_BASE_URL",)
    keys = ("GOOGLE_API_KEY", "GEMINI_API_KEY")

    def _connect(self) -> Any:
        import httpx2
        from google import genai

        # The SDK would take aiohttp wherever it happens to be installed, and with it
        # other errors, other redirects, and a repetition that nothing turns off.
        self.http = httpx2.AsyncClient(follow_redirects=True)
        version = os.environ.get("GOOGLE_GENAI_API_VERSION") or _VERSION
        return genai.Client(
            api_key=self.key.value or NO_KEY,
            vertexai=False,
            http_options=genai.types.HttpOptions(
                base_url=self.address,
                api_version=version,
                httpx_async_client=self.http,
            ),
        )

    async def close(self) -> None:
        await self.client.aio.aclose()
        self.client.close()
        await self.http.aclose()

    # --- what is asked -----------------------------------------------------

    def _request(self, turn: Turn) -> dict[str, Any]:
        config: dict[str, Any] = {
            "max_output_tokens": self.most_tokens(turn),
            "automatic_function_calling": {"disable": True},
        }
        if turn.system:
            config["system_instruction"] = turn.system
        if turn.tools:
            declared = formatted(turn.tools, "gemini")
            config["tools"] = [{"function_declarations": declared}]
        if "temperature" in self.extra:
            config["temperature"] = self.extra["temperature"]
        contents = self._contents(turn.said)
        return {"model": self.model, "contents": contents, "config": config}

    def _contents(self, said: Sequence[Said]) -> list[dict[str, Any]]:
        """What all tools of one answer gave has to stand in one content after it."""
        found: list[dict[str, Any]] = []
        for one in said:
            role = "model" if one.role == ASSISTANT else "user"
            if not found or found[-1]["role"] != role:
                found.append({"role": role, "parts": []})
            found[-1]["parts"] += self._parts(one)
        return found

    def _parts(self, one: Said) -> list[Any]:
        if one.role == TOOL and one.call is not None:
            return [{"function_response": _given(one.call, one.text)}]
        if not one.calls:
            return [{"text": text_of(one)}]
        kept: list[Any] | None = self.kept.get(one.calls)
        return kept or _said(one)

    # --- what is answered --------------------------------------------------

    async def _ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        models = self.client.aio.models
        parts = _Parts(on_text)
        if on_text is None:
            parts.take(await models.generate_content(**request))
        else:
            stream = await models.generate_content_stream(**request)
            async with aclosing(stream):
                async for chunk in stream:
                    parts.take(chunk)
        return self._answer(parts)

    def _answer(self, parts: _Parts) -> Answer:
        if parts.reason is None:
            if parts.is_blocked:
                return Answer("", (), parts.usage, REFUSED)
            raise self.broken_off()
        calls = tuple(map(_called, filter(_is_call, parts.parts)))
        self.kept.put(calls, parts.parts)
        if parts.reason in _BAD_ENDS:
            reason = f"the answer ended with {parts.reason}"
            raise AdapterFailed(adapter=self.name, reason=reason, status=200)
        stop = _STOPS.get(parts.reason)
        if stop == END:
            stop = None  # so it says of calls as well
        return Answer(parts.text, calls, parts.usage, stopped(stop, calls))


class _Parts:
    """An answer; a whole one comes as its only piece."""

    def __init__(self, on_text: Callable[[str], object] | None) -> None:
        self._on_text = on_text
        self.parts: list[Any] = []
        self.text = ""
        self.reason: str | None = None
        self.usage: Usage | None = None
        self.is_blocked = False

    def take(self, piece: Any) -> None:
        if piece.usage_metadata is not None:
            self.usage = _usage(piece.usage_metadata)
        feedback = piece.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            self.is_blocked = True
        for candidate in (piece.candidates or ())[:1]:
            if candidate.finish_reason is not None:
                self.reason = candidate.finish_reason.value
            content = candidate.content
            for part in (content and content.parts) or ():
                self._part(part)

    def _part(self, part: Any) -> None:
        self.parts.append(part)
        if part.text and not part.thought:
            self.text += part.text
            if self._on_text is not None:
                self._on_text(part.text)


def _usage(counts: Any) -> Usage:
    """What a model thinks is billed as what it says."""
    read = (counts.prompt_token_count, counts.tool_use_prompt_token_count)
    written = (counts.candidates_token_count, counts.thoughts_token_count)
    return Usage(sum(one or 0 for one in read), sum(one or 0 for one in written))


def _is_call(part: Any) -> bool:
    return part.function_call is not None


def _called(part: Any) -> ToolCall:
    call = part.function_call
    return ToolCall(call.id or made_id(), call.name or "", call.args or {})


def _said(one: Said) -> list[dict[str, Any]]:
    """An answer with calls of which nothing else is known any more."""
    text = [{"text": one.text}] if one.text.strip() else []
    calls: list[dict[str, Any]] = [{"function_call": _asked(c)} for c in one.calls]
    calls[0]["thought_signature"] = _UNSIGNED
    return [*text, *calls]


def _asked(call: ToolCall) -> dict[str, Any]:
    return {**_named(call), "args": as_object(call.arguments)}


def _given(call: ToolCall, text: str) -> dict[str, Any]:
    """Google wants an object."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = text
    is_object = isinstance(answer, dict)
    return {**_named(call), "response": answer if is_object else {"result": answer}}


def _named(call: ToolCall) -> dict[str, Any]:
    """An id goes back only if the platform gave it."""
    if call.id.startswith(MADE):
        return {"name": call.name}
    return {"id": call.id, "name": call.name}
