"""Answers that are none, or not what was asked for: each ends in an error that says so.

Whatever is not whole is never taken for an answer.
"""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from ipcbus.adapters.base import Answer, Limits, Usage
from ipcbus.adapters.vendor import Vendor
from ipcbus.errors import AdapterFailed
from tests.adapters.vendors.bodies import Speech, stream, whole
from tests.adapters.vendors.conftest import Broken
from tests.adapters.vendors.faults import Reply
from tests.adapters.vendors.platforms import (
    BY_NAME,
    Platform,
    ask,
    ask_in_turn,
    turn,
    with_adapter,
)

TALK = Speech("I ask bob.", (("send", '{"to": "bob", "text": "hi"}'),), "Who knows?")

both_ways = pytest.mark.parametrize(
    "is_streamed", [False, True], ids=["whole", "in pieces"]
)


def reply(platform: Platform, speech: Speech, *, is_streamed: bool) -> Reply:
    if is_streamed:
        return Reply("".join(stream(platform.name, speech)))
    return Reply(whole(platform.name, speech))


def listening(is_streamed: bool) -> list[str] | None:
    return [] if is_streamed else None


# --- what is whole ----------------------------------------------------------


@both_ways
def test_text_and_calls_of_one_answer_are_both_there(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    speech = TALK._replace(
        calls=(*TALK.calls, ("agents", "{}"), ("inbox", '{"limit": 2}')), stop="tools"
    )
    pieces = listening(is_streamed)
    server = broken(reply(platform, speech, is_streamed=is_streamed))
    answer = ask(platform, server.url, "hello", pieces=pieces)
    assert answer.text == TALK.text
    assert [(call.name, call.arguments) for call in answer.calls] == [
        ("send", {"to": "bob", "text": "hi"}),
        ("agents", {}),
        ("inbox", {"limit": 2}),
    ]
    assert len({call.id for call in answer.calls}) == 3
    assert answer.usage == Usage(11, 7)
    assert answer.stop == "tools"
    assert pieces is None or "".join(pieces) == TALK.text


@both_ways
def test_calls_are_calls_even_if_the_server_says_that_it_is_done(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    server = broken(reply(platform, TALK, is_streamed=is_streamed))
    answer = ask(platform, server.url, "hello", pieces=listening(is_streamed))
    assert len(answer.calls) == 1
    if platform.name != "anthropic":  # which has no word of its own for it
        assert answer.stop == "tools"


@both_ways
def test_a_refusal_is_told_from_an_answer(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    if platform.name == "ollama":
        return  # local models refuse in words alone
    speech = Speech("I would rather not.", stop="refused")
    server = broken(reply(platform, speech, is_streamed=is_streamed))
    answer = ask(platform, server.url, "hello", pieces=listening(is_streamed))
    assert (answer.text, answer.stop) == (speech.text, "refused")


@both_ways
def test_an_overlong_answer_says_so(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    speech = Speech("An answer that", stop="length")
    server = broken(reply(platform, speech, is_streamed=is_streamed))
    answer = ask(platform, server.url, "hello", pieces=listening(is_streamed))
    assert (answer.text, answer.stop) == (speech.text, "length")


def test_a_prompt_that_is_blocked_is_a_refusal(broken: Broken) -> None:
    server = broken(Reply({"promptFeedback": {"blockReason": "SAFETY"}}))
    answer = ask(BY_NAME["gemini"], server.url, "hello")
    assert answer.stop == "refused"


# --- what is not ------------------------------------------------------------


def test_no_part_of_a_stream_is_taken_for_an_answer(
    platform: Platform, broken: Broken
) -> None:
    """The server ends it politely, so that only its words can tell."""
    pieces = stream(platform.name, TALK)
    parts = ["".join(pieces[:count]) for count in range(len(pieces))]
    server = broken(*map(Reply, parts))
    asked = [turn("hello", pieces=[]) for _ in parts]
    for answer in ask_in_turn(platform, server.url, asked):
        assert isinstance(answer, AdapterFailed), answer


@both_ways
def test_what_is_shorter_than_announced_is_no_answer(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    given = reply(platform, TALK, is_streamed=False)
    if is_streamed:
        given = Reply("".join(stream(platform.name, TALK)[:-1]))
    server = broken(given._replace(is_cut=True))
    with pytest.raises(AdapterFailed):
        ask(platform, server.url, "hello", pieces=listening(is_streamed))


GARBAGE = [
    *("", "<html>Bad gateway</html>", "null", "[]", "{}", "17", "data: {\n\n"),
    *('data: {"type": "message_start"}\n\n', 'data: {"choices": 7}\n\n'),
    *('{"choices": [7]}', '{"content": 7}', '{"output": 7}', '{"candidates": [7]}'),
    *('{"message": 7}', '{"message": {"role": "assistant", "content": {"a": 1}}}'),
]


@both_ways
def test_garbage_is_no_answer(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    server = broken(*map(Reply, GARBAGE))
    asked = [turn("hello", pieces=listening(is_streamed)) for _ in GARBAGE]
    answers = ask_in_turn(platform, server.url, asked)
    for body, answer in zip(GARBAGE, answers, strict=True):
        assert type(answer) is AdapterFailed, (body, answer)


MALFORMED = '{"to": "bob", "text": '


@both_ways
@pytest.mark.parametrize("name", ["anthropic", "chat", "responses"])
def test_arguments_that_are_no_json_stay_a_text(
    name: str, is_streamed: bool, broken: Broken
) -> None:
    platform = BY_NAME[name]
    speech = Speech("Now.", (("send", MALFORMED),), stop="tools")
    server = broken(reply(platform, speech, is_streamed=is_streamed))
    answer = ask(platform, server.url, "hello", pieces=listening(is_streamed))
    assert answer.stop == "tools"
    assert [(one.name, one.arguments) for one in answer.calls] == [("send", MALFORMED)]


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER"])
def test_an_end_that_google_cannot_explain_is_a_failure(
    reason: str, broken: Broken
) -> None:
    server = broken(Reply({"candidates": [{"finishReason": reason}]}))
    with pytest.raises(AdapterFailed, match=reason):
        ask(BY_NAME["gemini"], server.url, "hello")


# --- nothing at all ---------------------------------------------------------


def test_a_silent_platform_is_given_up_in_time(
    platform: Platform, broken: Broken
) -> None:
    server = broken(Reply(is_silent=True))
    asked = turn("hello", limits=Limits(timeout_s=0.3))
    (answer,) = ask_in_turn(platform, server.url, [asked])
    assert isinstance(answer, AdapterFailed)
    assert answer.reason == "no answer within 0.3 s"
    assert server.left.wait(10.0)


def test_a_turn_that_is_cancelled_ends_its_request(
    platform: Platform, broken: Broken
) -> None:
    server = broken(Reply(is_silent=True))

    async def use(adapter: Vendor) -> bool:
        asking = asyncio.create_task(adapter.turn(turn("hello")))
        await asyncio.to_thread(server.came.wait, 10.0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await asyncio.to_thread(server.left.wait, 10.0)

    assert with_adapter(platform.adapter(server.url), use)


def test_nobody_there_is_a_failure_that_says_so(platform: Platform) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(AdapterFailed) as failed:
        ask(platform, f"http://127.0.0.1:{port}", "hello")
    assert failed.value.status == 0
    assert "connect" in failed.value.reason.lower()


def test_several_conversations_are_held_at_once(
    platform: Platform, broken: Broken
) -> None:
    server = broken(reply(platform, Speech("Yes."), is_streamed=False))

    async def use(adapter: Vendor) -> list[Answer]:
        return await asyncio.gather(*(adapter.turn(turn(f"{n}")) for n in range(8)))

    answers = with_adapter(platform.adapter(server.url), use)
    assert [answer.text for answer in answers] == ["Yes."] * 8
    bodies = {json.dumps(request.body, sort_keys=True) for request in server.requests}
    assert len(bodies) == 8
