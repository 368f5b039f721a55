"""What the platforms answer, as their references show it: whole, and as streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ipcbus.adapters.base import Stop


class Speech(NamedTuple):
    """What a model says.

    Attributes:
        calls: names and arguments, as text, which may be no JSON.
        thought: what it thought before, with a signature.
    """

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    thought: str = ""
    stop: Stop = "end"


SIGNATURE: Final = "c2lnbmVkIGJ5IHRoZSBwbGF0Zm9ybQ=="
"""Letters that mean bytes, for those who want them."""


def whole(name: str, speech: Speech) -> Any:
    """The body of an answer that comes at once."""
    return _WHOLE[name](speech)


def stream(name: str, speech: Speech) -> list[str]:
    """The pieces of the same; the answer is whole with the last, and not before."""
    return _STREAM[name](speech)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _data(*documents: Any) -> str:
    return "".join(f"data: {json.dumps(one)}\n\n" for one in documents)


# --- Anthropic --------------------------------------------------------------


def _anthropic(speech: Speech) -> Any:
    blocks: list[dict[str, Any]] = []
    if speech.thought:
        signed = {"thinking": speech.thought, "signature": SIGNATURE}
        blocks.append({"type": "thinking", **signed})
    if speech.text:
        blocks.append({"type": "text", "text": speech.text})
    for number, (name, arguments) in enumerate(speech.calls):
        call = {"id": f"toolu_{number}", "name": name, "input": _json(arguments)}
        blocks.append({"type": "tool_use", **call})
    reasons = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "a-model",
        "content": blocks,
        "stop_reason": reasons.get(speech.stop, "refusal"),
        "stop_sequence": None,
        "usage": {"input_tokens": 6, "cache_read_input_tokens": 5, "output_tokens": 7},
    }


def _anthropic_stream(speech: Speech) -> list[str]:
    message = _anthropic(speech)
    began = {**message, "content": [], "stop_reason": None}
    began["usage"] = {**message["usage"], "output_tokens": 1}
    pieces = [_event("message_start", message=began)]
    texts = [arguments for _, arguments in speech.calls]
    for index, block in enumerate(message["content"]):
        empty, deltas = _deltas(block, texts)
        pieces.append(_event("content_block_start", index=index, content_block=empty))
        pieces += [
            _event("content_block_delta", index=index, delta=delta) for delta in deltas
        ]
        pieces.append(_event("content_block_stop", index=index))
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    pieces.append(_event("message_delta", delta=ended, usage=usage))
    return [*pieces, _event("message_stop")]


def _deltas(block: Any, texts: list[str]) -> tuple[Any, list[Any]]:
    """An empty block, and what fills it."""
    kind = block["type"]
    if kind == "tool_use":
        parts = _halves(texts.pop(0))
        rows = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        return {**block, "input": {}}, rows
    name = "text" if kind == "text" else "thinking"
    rows = [{"type": f"{name}_delta", name: part} for part in _halves(block[name])]
    if kind == "text":
        return {**block, "text": ""}, rows
    rows.append({"type": "signature_delta", "signature": block["signature"]})
    return {**block, "thinking": "", "signature": ""}, rows


def _event(kind: str, **document: Any) -> str:
    return f"event: {kind}\n{_data({'type': kind, **document})}"


# --- OpenAI: chat -----------------------------------------------------------

_COUNTS: Final = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
_FINISHES: Final = {"end": "stop", "tools": "tool_calls", "length": "length"}


def _chat(speech: Speech) -> Any:
    is_refusal = speech.stop == "refused"
    calls = [_chat_call(number, *call) for number, call in enumerate(speech.calls)]
    message = {
        "role": "assistant",
        "content": None if is_refusal else speech.text or None,
        "refusal": speech.text if is_refusal else None,
        **({"tool_calls": calls} if calls else {}),
    }
    reason = _FINISHES.get(speech.stop, "stop")
    choice = {"index": 0, "finish_reason": reason, "message": message}
    return {**_CHAT, "object": "chat.completion", "choices": [choice], "usage": _COUNTS}


_CHAT: Final = {"id": "chatcmpl-1", "created": 1, "model": "a-model"}


def _chat_call(number: int, name: str, arguments: str) -> Any:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _chat_stream(speech: Speech) -> list[str]:
    name = "refusal" if speech.stop == "refused" else "content"
    deltas: list[Any] = [{"role": "assistant", "content": ""}]
    deltas += [{name: part} for part in _halves(speech.text) if part]
    for number, (called, arguments) in enumerate(speech.calls):
        first, second = _halves(arguments)
        call = {"index": number, **_chat_call(number, called, first)}
        deltas.append({"tool_calls": [call]})
        rest = {"index": number, "function": {"arguments": second}}
        deltas.append({"tool_calls": [rest]})
    reason = _FINISHES.get(speech.stop, "stop")
    pieces = [_data(_chunk([{"index": 0, "delta": delta}])) for delta in deltas]
    last = _chunk([{"index": 0, "delta": {}, "finish_reason": reason}])
    counted = {**_chunk([]), "usage": _COUNTS}
    return [*pieces, f"{_data(last, counted)}data: [DONE]\n\n"]


def _chunk(choices: list[Any]) -> Any:
    return {**_CHAT, "object": "chat.completion.chunk", "choices": choices}


# --- OpenAI: responses ------------------------------------------------------


def _responses(speech: Speech) -> Any:
    output: list[Any] = []
    if speech.thought:
        thought = {"id": "rs_1", "summary": [], "encrypted_content": SIGNATURE}
        output.append({"type": "reasoning", **thought})
    if speech.text:
        output.append(_message(speech))
    for number, (name, arguments) in enumerate(speech.calls):
        ids = {"id": f"fc_{number}", "call_id": f"call_{number}"}
        called = {"name": name, "arguments": arguments, "status": "completed"}
        output.append({"type": "function_call", **ids, **called})
    is_short = speech.stop == "length"
    shortened = {"reason": "max_output_tokens"} if is_short else None
    return {
        **_RESPONSE,
        "status": "incomplete" if is_short else "completed",
        "error": None,
        "incomplete_details": shortened,
        "output": output,
        "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
    }


_RESPONSE: Final = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "a-model",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


def _message(speech: Speech) -> Any:
    part: dict[str, Any] = {"type": "output_text", "annotations": []}
    if speech.stop == "refused":
        part = {"type": "refusal", "refusal": speech.text}
    else:
        part["text"] = speech.text
    said = {"role": "assistant", "status": "completed", "content": [part]}
    return {"type": "message", "id": "msg_1", **said}


def _responses_stream(speech: Speech) -> list[str]:
    response = _responses(speech)
    began = {**response, "status": "in_progress", "output": [], "usage": None}
    kind = "refusal" if speech.stop == "refused" else "output_text"
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    deltas = [{**at, "delta": part} for part in _halves(speech.text)]
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": began}),
        *((f"response.{kind}.delta", delta) for delta in deltas),
        (f"response.{response['status']}", {"response": response}),
    ]
    return [
        _event(kind, **document, sequence_number=number)
        for number, (kind, document) in enumerate(events)
    ]


# --- Gemini -----------------------------------------------------------------


def _gemini(speech: Speech) -> Any:
    parts = _gemini_parts(speech)
    return _candidate(parts, speech) | {"usageMetadata": _GEMINI_COUNTS}


_GEMINI_COUNTS: Final = {
    "promptTokenCount": 11,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 2,
}


def _gemini_parts(speech: Speech) -> list[Any]:
    parts: list[Any] = []
    if speech.thought:
        parts.append({"text": speech.thought, "thought": True})
    if speech.text:
        parts.append({"text": speech.text})
    for name, arguments in speech.calls:
        part: dict[str, Any] = {"functionCall": {"name": name}}
        part["functionCall"]["args"] = _json(arguments)
        if speech.thought:
            part["thoughtSignature"] = SIGNATURE
        parts.append(part)
    return parts


def _candidate(parts: list[Any], speech: Speech | None) -> Any:
    content = {"role": "model", "parts": parts}
    candidate: dict[str, Any] = {"index": 0, "content": content}
    if speech is not None:
        reasons = {"length": "MAX_TOKENS", "refused": "SAFETY"}
        candidate["finishReason"] = reasons.get(speech.stop, "STOP")
    return {"candidates": [candidate]}


def _gemini_stream(speech: Speech) -> list[str]:
    pieces = [_data(_candidate([part], None)) for part in _gemini_parts(speech)]
    last = _candidate([], speech) | {"usageMetadata": _GEMINI_COUNTS}
    return [*pieces, _data(last)]


# --- Ollama -----------------------------------------------------------------


def _ollama(speech: Speech) -> Any:
    return _ollama_piece(speech.text, speech.thought, speech.calls) | _ended(speech)


def _ollama_piece(
    text: str = "", thought: str = "", calls: tuple[tuple[str, str], ...] = ()
) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if thought:
        message["thinking"] = thought
    if calls:
        asked = [{"name": name, "arguments": _json(text)} for name, text in calls]
        message["tool_calls"] = [{"function": one} for one in asked]
    at = "2026-11-25T20:00:00Z"
    return {"model": "a-model", "created_at": at, "message": message, "done": False}


def _ended(speech: Speech) -> Any:
    reason = "length" if speech.stop == "length" else "stop"
    counts = {"prompt_eval_count": 11, "eval_count": 7}
    return {"done": True, "done_reason": reason, **counts}


def _ollama_stream(speech: Speech) -> list[str]:
    pieces = [_ollama_piece(thought=speech.thought)] if speech.thought else []
    pieces += [_ollama_piece(part) for part in _halves(speech.text)]
    pieces += [_ollama_piece(calls=(call,)) for call in speech.calls]
    pieces.append(_ollama_piece() | _ended(speech))
    return [f"{json.dumps(piece)}\n" for piece in pieces]


_WHOLE: Final[Mapping[str, Callable[[Speech], Any]]] = {
    "anthropic": _anthropic,
    "chat": _chat,
    "responses": _responses,
    "gemini": _gemini,
    "ollama": _ollama,
}

_STREAM: Final[Mapping[str, Callable[[Speech], list[str]]]] = {
    "anthropic": _anthropic_stream,
    "chat": _chat_stream,
    "responses": _responses_stream,
    "gemini": _gemini_stream,
    "ollama": _ollama_stream,
}
