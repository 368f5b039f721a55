"""What aimock says, by what it is asked."""

from __future__ import annotations

from typing import Any, Final

from tests.adapters.vendors.platforms import PLATFORMS

WORDS: Final = "An answer of several words, so that there are pieces of it."

USAGE: Final = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "input_tokens": 11,
    "output_tokens": 7,
    "promptTokenCount": 11,
    "candidatesTokenCount": 7,
}
"""In the words of each platform; aimock's Ollama counts nothing."""

QUESTION: Final = "what is the colour of the door?"
COLOUR: Final = "it is green with a brass knob"


def fixtures() -> dict[str, Any]:
    """The first that matches counts."""
    rows = [
        _when("say it", {"content": WORDS, "usage": USAGE}, chunkSize=10),
        _when("say too much", {"content": "An answer that", "finishReason": "length"}),
        _when(
            "break off",
            {"content": WORDS},
            chunkSize=10,
            truncateAfterChunks=5,
            latency=10,
        ),
        _when("fail", _error("it broke", 500)),
        _when("Say: ok", {"content": "ok"}),
    ]
    for platform in PLATFORMS:
        rows += _once(f"once, {platform.name}")
    return {"fixtures": [*rows, *_door()]}


def _when(asked: str, response: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {"match": {"userMessage": asked}, "response": response, **given}


def _error(text: str, status: int) -> dict[str, Any]:
    return {"error": {"message": text, "type": "an_error"}, "status": status}


def _once(asked: str) -> list[dict[str, Any]]:
    """Overloaded at first, then it answers."""
    load = {**_error("slow down", 429), "retryAfter": 7}
    rows = [_when(asked, load), _when(asked, {"content": WORDS})]
    for number, row in enumerate(rows):
        row["match"]["sequenceIndex"] = number
    return rows


def _door() -> list[dict[str, Any]]:
    """It asks bob, waits for what he says, and says it."""
    mail = {"to": "bob", "text": QUESTION}
    asks = {"content": "I ask bob.", "toolCalls": [_call("send", mail)]}
    waits = {"toolCalls": [_call("wait", {"timeout_s": 20})]}
    says = {"content": f"Bob: {COLOUR}."}
    return [
        {"match": {"toolResultContains": COLOUR}, "response": says},
        {"match": {"userMessage": "door", "hasToolResult": True}, "response": waits},
        {"match": {"userMessage": "door", "hasToolResult": False}, "response": asks},
    ]


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}
