"""What a platform's refusal means for us: a key, a length, a load, or a failure. Pure.

The SDKs raise classes of their own for the same few things, and put what the platform
said in different places: `told` finds it, `failure` judges it. Statuses decide where
they can; where platforms use one status for several things (400, 429), their codes and
then their words do.

Sources: https://platform.claude.com/docs/en/api/errors,
https://platform.openai.com/docs/guides/error-codes,
https://ai.google.dev/gemini-api/docs/troubleshooting,
https://github.com/ollama/ollama/blob/main/docs/api.md, RFC 9110 section 10.2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from ipcbus.doors.text import safe_line
from ipcbus.errors import AdapterFailed, KeyRefused, Overloaded, TooLong

WAIT_S: Final = 5.0
"""Seconds to wait where an overloaded platform does not say how long."""

LONGEST_WAIT_S: Final = 24 * 3600.0

MOST_WORDS: Final = 300
"""Letters of a platform's own words; some send a page of HTML."""

_KEY: Final = frozenset({401, 402, 403})
_KEY_CODES: Final = frozenset(
    {
        *("authentication_error", "permission_error", "billing_error"),
        *("invalid_api_key", "insufficient_quota", "billing_hard_limit_reached"),
        *("unauthenticated", "permission_denied", "api_key_invalid"),
    }
)
_KEY_WORDS: Final = r"api key not valid|api key not found|credit balance is too low"

_LONG_CODES: Final = frozenset(
    {
        *("context_length_exceeded", "exceed_context_size_error"),
        *("request_too_large", "string_above_max_length"),
    }
)
_LONG_WORDS: Final = (
    r"prompt is too long|prompt too long|request too large|too many tokens|"
    r"context (length|limit|window|size)|maximum number of tokens"
)

_LOAD: Final = frozenset({429, 503, 529})
_LOAD_CODES: Final = frozenset(
    {
        *("overloaded_error", "rate_limit_error", "rate_limit_exceeded", "slow_down"),
        *("resource_exhausted", "unavailable", "too_many_requests"),
    }
)


class Told(NamedTuple):
    """What came back instead of an answer.

    Attributes:
        status: of HTTP; 0 if there was none: nobody answered, or broke off.
        codes: the platform's own words for what it is, in small letters.
        text: what it said.
        wait_s: seconds after which it may be asked again, if it said so.
    """

    status: int = 0
    codes: frozenset[str] = frozenset()
    text: str = ""
    wait_s: float | None = None


class Key(NamedTuple):
    """The key that was used, and the variable that it stands in."""

    variable: str
    value: str = ""


def failure(adapter: str, told: Told, key: Key) -> AdapterFailed:
    """The error that says what to do about it. Never has the key in it."""
    text = _readable(told.text, key)
    status = f" ({told.status})" if told.status else ""
    if told.codes & _KEY_CODES or told.status in _KEY or _has(_KEY_WORDS, text):
        return KeyRefused(
            adapter=adapter, reason=_refused(told, key, text), status=told.status
        )
    reason = f"{text or 'no reason was given'}{status}"
    if told.codes & _LONG_CODES or told.status == 413 or _has(_LONG_WORDS, text):
        return TooLong(adapter=adapter, reason=reason, status=told.status)
    if told.codes & _LOAD_CODES or told.status in _LOAD:
        wait_s = WAIT_S if told.wait_s is None else told.wait_s
        return Overloaded(
            adapter=adapter, reason=reason, status=told.status, retry_after_s=wait_s
        )
    return AdapterFailed(adapter=adapter, reason=reason, status=told.status)


def _refused(told: Told, key: Key, text: str) -> str:
    if not key.value:
        return f"it wants a key: set {key.variable}"
    if told.status == 401:  # some repeat a part of the key in what they say then
        return f"the key in {key.variable} was refused (401)"
    status = f" ({told.status})" if told.status else ""
    return f"the key in {key.variable} was refused: {text}{status}"


def _readable(text: str, key: Key) -> str:
    if key.value:
        text = text.replace(key.value, "***")
    text = " ".join(text.split())
    return safe_line(text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]}...")


def _has(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


# --- what an SDK raised -----------------------------------------------------


def told(error: BaseException) -> Told:
    """What the platform said, out of the exception of any of the SDKs."""
    body = _body(error)
    response = _response(error)
    headers = getattr(response, "headers", None) or {}
    return Told(
        _status(error),
        frozenset(_codes(body)),
        _text(error, body),
        _wait_s(headers, body),
    )


def _body(error: BaseException) -> Mapping[str, Any]:
    """The error object of the answer; it may stand in an outer one."""
    for name in ("body", "details", "error"):
        body = getattr(error, name, None)
        if isinstance(body, Mapping):
            inner = body.get("error", body)
            return inner if isinstance(inner, Mapping) else {"message": str(inner)}
    return {}


def _response(error: BaseException) -> Any:
    """Ollama's SDK forgets it, but not the error that it made its own from."""
    found = getattr(error, "response", None)
    return found or getattr(error.__context__, "response", None)


def _status(error: BaseException) -> int:
    """Errors in the middle of an answer come with its 200, or with none."""
    for name in ("status_code", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int) and value >= 400:
            return value
    return 0


def _codes(body: Mapping[str, Any]) -> Iterator[str]:
    for name in ("code", "type", "status"):
        if isinstance(value := body.get(name), str):
            yield value.lower()
    for one in _details(body):
        if isinstance(reason := one.get("reason"), str):
            yield reason.lower()


def _details(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Google's, a list of objects of many types."""
    rows = body.get("details")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            yield row


def _text(error: BaseException, body: Mapping[str, Any]) -> str:
    said = body.get("message") or getattr(error, "error", None)
    if isinstance(said, str) and said:
        return said
    return words(error)


def words(error: BaseException) -> str:
    """An exception and its cause in words; that of a connection is often silent."""
    found = f"{error}".strip() or type(error).__name__
    cause = error.__cause__
    if cause is None or f"{cause}" in found:
        return found
    return f"{found.rstrip('.')}: {words(cause)}"


def _wait_s(headers: Mapping[str, str], body: Mapping[str, Any]) -> float | None:
    """From the header, in milliseconds, seconds or as a date; or as Google says it."""
    delays = [one.get("retryDelay") for one in _details(body)]
    google = next((one for one in delays if isinstance(one, str)), "")
    for text, unit in (
        (headers.get("retry-after-ms"), 0.001),
        (headers.get("retry-after"), 1.0),
        (google.removesuffix("s"), 1.0),
    ):
        if text:
            return _seconds(text, unit)
    return None


def _seconds(text: str, unit: float) -> float | None:
    try:
        seconds = float(text) * unit
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        now = datetime.now(UTC) if at.tzinfo else datetime.now(UTC).replace(tzinfo=None)
        seconds = (at - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if seconds == seconds else None
