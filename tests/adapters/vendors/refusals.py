"""What the platforms say instead of an answer, and what it has to mean for us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ipcbus.errors import AdapterFailed, KeyRefused, Overloaded, TooLong


class Refusal(NamedTuple):
    """Attributes:
    means: the error that it has to become.
    wait_s: what an `Overloaded` has to say of when to come again.
    """

    status: int
    body: Any
    means: type[AdapterFailed]
    headers: Mapping[str, str] = {}
    wait_s: float = 5.0


def _anthropic(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _openai(
    message: str, kind: str | None = None, code: str | int | None = None
) -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _google(code: int, status: str, message: str, *details: Any) -> Any:
    error = {"code": code, "message": message, "status": status}
    return {"error": error | ({"details": list(details)} if details else {})}


_INFO: Final = "type.googleapis.com/google.rpc."

ANTHROPIC: Final = [
    Refusal(401, _anthropic("authentication_error", "invalid x-api-key"), KeyRefused),
    Refusal(403, _anthropic("permission_error", "not for this key"), KeyRefused),
    Refusal(
        400,
        _anthropic("invalid_request_error", "Your credit balance is too low."),
        KeyRefused,
    ),
    Refusal(
        400,
        _anthropic("invalid_request_error", "prompt is too long: 210000 > 200000"),
        TooLong,
    ),
    Refusal(413, _anthropic("request_too_large", "Request too large"), TooLong),
    Refusal(
        429,
        _anthropic("rate_limit_error", "too many requests this minute"),
        Overloaded,
        {"retry-after": "12"},
        12.0,
    ),
    Refusal(529, _anthropic("overloaded_error", "Overloaded"), Overloaded),
    Refusal(503, "<html>upstream</html>", Overloaded),
    Refusal(400, _anthropic("invalid_request_error", "tools.0: bad"), AdapterFailed),
    Refusal(404, _anthropic("not_found_error", "model: a-model"), AdapterFailed),
    Refusal(500, _anthropic("api_error", "Internal server error"), AdapterFailed),
    Refusal(502, "<html>Bad gateway</html>", AdapterFailed),
]

OPENAI: Final = [
    Refusal(
        401,
        _openai(
            "Incorrect API key provided: sk-sec*****test.",
            "invalid_request_error",
            "invalid_api_key",
        ),
        KeyRefused,
    ),
    Refusal(403, _openai("Country not supported"), KeyRefused),
    Refusal(
        429,
        _openai("You exceeded your quota", "insufficient_quota", "insufficient_quota"),
        KeyRefused,
    ),
    Refusal(
        400,
        _openai("too long", "invalid_request_error", "context_length_exceeded"),
        TooLong,
    ),
    Refusal(  # vLLM
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens.",
            "type": "BadRequestError",
            "code": 400,
        },
        TooLong,
    ),
    Refusal(400, _openai("n_ctx", "exceed_context_size_error", 400), TooLong),
    Refusal(
        429,
        _openai("Rate limit reached", "requests", "rate_limit_exceeded"),
        Overloaded,
        {"retry-after-ms": "1500", "retry-after": "2"},
        1.5,
    ),
    Refusal(503, _openai("The engine is overloaded"), Overloaded),
    Refusal(400, _openai("Unknown parameter", "invalid_request_error"), AdapterFailed),
    Refusal(404, _openai("no such model", None, "model_not_found"), AdapterFailed),
    Refusal(500, _openai("The server had an error", "server_error"), AdapterFailed),
    Refusal(502, "<html>Bad gateway</html>", AdapterFailed),
]

GEMINI: Final = [
    Refusal(
        400,
        _google(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            {"@type": f"{_INFO}ErrorInfo", "reason": "API_KEY_INVALID"},
        ),
        KeyRefused,
    ),
    Refusal(401, _google(401, "UNAUTHENTICATED", "no credentials"), KeyRefused),
    Refusal(403, _google(403, "PERMISSION_DENIED", "denied"), KeyRefused),
    Refusal(
        400,
        _google(
            400,
            "INVALID_ARGUMENT",
            "The input token count (2000000) exceeds the maximum number of tokens "
            "allowed (1048576).",
        ),
        TooLong,
    ),
    Refusal(
        429,
        _google(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota",
            {"@type": f"{_INFO}QuotaFailure", "violations": []},
            {"@type": f"{_INFO}RetryInfo", "retryDelay": "39.5s"},
        ),
        Overloaded,
        {},
        39.5,
    ),
    Refusal(503, _google(503, "UNAVAILABLE", "The model is overloaded."), Overloaded),
    Refusal(404, _google(404, "NOT_FOUND", "no such model"), AdapterFailed),
    Refusal(500, _google(500, "INTERNAL", "An internal error"), AdapterFailed),
    Refusal(502, "<html>Bad gateway</html>", AdapterFailed),
]

OLLAMA: Final = [
    Refusal(401, {"error": "unauthorized"}, KeyRefused),
    Refusal(503, {"error": "server busy, please try again."}, Overloaded),
    Refusal(429, {"error": "slow"}, Overloaded, {"retry-after": "3"}, 3.0),
    Refusal(400, {"error": "input exceeds the context length"}, TooLong),
    Refusal(404, {"error": "model 'a-model' not found"}, AdapterFailed),
    Refusal(400, {"error": "a-model does not support tools"}, AdapterFailed),
    Refusal(500, {"error": "llama runner process has ended"}, AdapterFailed),
    Refusal(502, "<html>Bad gateway</html>", AdapterFailed),
]

REFUSALS: Final[Mapping[str, list[Refusal]]] = {
    "anthropic": ANTHROPIC,
    "chat": OPENAI,
    "responses": OPENAI,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}
