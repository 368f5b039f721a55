"""What a platform says instead of an answer becomes the error that says what to do."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from ipcbus.adapters.failures import LONGEST_WAIT_S, WAIT_S, Key, failure, told
from ipcbus.errors import AdapterFailed, KeyRefused, Overloaded
from tests.adapters.vendors.conftest import Broken
from tests.adapters.vendors.faults import Reply
from tests.adapters.vendors.platforms import (
    BY_NAME,
    KEY,
    Platform,
    ask,
    ask_in_turn,
    turn,
)
from tests.adapters.vendors.refusals import REFUSALS


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "in pieces"])
def test_each_refusal_has_its_error_and_is_asked_for_once(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    """Repeating is the runner's, which knows how long the mail is leased."""
    rows = REFUSALS[platform.name]
    server = broken(*(Reply(row.body, row.status, row.headers) for row in rows))
    asked = [turn("hello", pieces=[] if is_streamed else None) for _ in rows]
    errors = ask_in_turn(platform, server.url, asked)
    assert len(server.requests) == len(rows)
    for row, error in zip(rows, errors, strict=True):
        assert type(error) is row.means, (row, error)
        assert isinstance(error, AdapterFailed)
        assert error.facts["status"] == row.status
        if isinstance(error, Overloaded):
            assert error.retry_after_s == row.wait_s, row
        if isinstance(error, KeyRefused):
            assert platform.key in error.reason


def test_a_key_that_a_platform_repeats_is_not_told(
    platform: Platform, broken: Broken
) -> None:
    words = f"no access with the key {KEY} to \x1b[31mthis\n model"
    body = words if platform.name == "ollama" else {"message": words}
    server = broken(Reply({"error": body}, 403), Reply({"error": body}, 500))
    errors = ask_in_turn(platform, server.url, [turn("hello")] * 2)
    for error in errors:
        assert isinstance(error, AdapterFailed)
        assert KEY not in str(error)
        assert "no access with the key *** to" in str(error)
        assert "\x1b" not in str(error)
        assert "\n" not in str(error)


def _event(kind: str, document: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **document})}\n\n"


LOAD = {"type": "overloaded_error", "message": "Overloaded"}
FAILED = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "a-model",
    "status": "failed",
    "error": {"code": "rate_limit_exceeded", "message": "Overloaded"},
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
GOOGLE = {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}
LATE = [
    ("anthropic", _event("error", {"error": LOAD})),
    ("chat", f"data: {json.dumps({'error': {**LOAD, 'code': 'slow_down'}})}\n\n"),
    ("responses", _event("response.failed", {"response": FAILED})),
    ("responses", _event("error", {"code": "slow_down", "message": "Overloaded"})),
    ("gemini", f"data: {json.dumps({'error': GOOGLE})}\n\n"),
]


@pytest.mark.parametrize(("name", "body"), LATE)
def test_a_platform_may_be_overloaded_in_the_midst_of_its_answer(
    name: str, body: str, broken: Broken
) -> None:
    server = broken(Reply(body))
    with pytest.raises(Overloaded, match="Overloaded"):
        ask(BY_NAME[name], server.url, "hello", pieces=[])


def test_a_local_model_may_fail_in_the_midst_of_its_answer(broken: Broken) -> None:
    first = {"message": {"role": "assistant", "content": "An "}, "done": False}
    lines = [json.dumps(one) for one in (first, {"error": "the GPU is gone"})]
    server = broken(Reply("\n".join(lines)))
    with pytest.raises(AdapterFailed, match="the GPU is gone"):
        ask(BY_NAME["ollama"], server.url, "hello", pieces=[])


# --- when to come again -----------------------------------------------------


class Refused(Exception):
    """As SDKs raise it."""

    status_code = 429

    def __init__(self, **headers: str) -> None:
        super().__init__("slow down")
        found = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = SimpleNamespace(headers=found)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("12", 12.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("inf", LONGEST_WAIT_S),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("Thu, 31 Dec 2499 23:59:59 GMT", LONGEST_WAIT_S),
        ("nan", WAIT_S),
        ("soon", WAIT_S),
        ("", WAIT_S),
    ],
)
def test_the_time_to_wait_is_seconds_or_a_date_or_guessed(
    text: str, wait_s: float
) -> None:
    error = failure("gemini", told(Refused(retry_after=text)), Key("A_KEY", KEY))
    assert isinstance(error, Overloaded)
    assert error.retry_after_s == wait_s


def test_milliseconds_are_told_apart_from_seconds() -> None:
    said = told(Refused(retry_after_ms="250", retry_after="9"))
    assert said.wait_s == 0.25


def test_who_had_no_key_is_told_to_set_one() -> None:
    error = failure("openai", told(Refused())._replace(status=401), Key("A_KEY"))
    assert isinstance(error, KeyRefused)
    assert str(error) == "openai: it wants a key: set A_KEY"


def test_a_silent_error_is_told_by_its_cause() -> None:
    error = OSError()
    error.__cause__ = ConnectionRefusedError("nobody listens")
    assert told(error).text == "OSError: nobody listens"


def test_pages_of_words_are_cut() -> None:
    error = failure("openai", told(ValueError("long " * 1000)), Key("A_KEY", KEY))
    assert len(str(error)) < 400
