"""What goes back to a platform: all that was said, in the order and shapes it wants."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ipcbus.adapters.base import Answer, Options, Said, ToolCall, Turn
from ipcbus.adapters.openai import OpenAi
from ipcbus.adapters.vendor import KEPT, Kept, Vendor
from tests.adapters.vendors.bodies import SIGNATURE, Speech, stream, whole
from tests.adapters.vendors.conftest import Broken
from tests.adapters.vendors.faults import Reply
from tests.adapters.vendors.platforms import BY_NAME, Platform, turn, with_adapter

CALLS = (("send", '{"to": "bob", "text": "hi"}'), ("status", "{}"))
ASKS = Speech("I ask bob.", CALLS, "Who knows it?", "tools")
SAYS = Speech("Done.")
RESULTS = ('{"sent": "m-1"}', "[1, 2]")


def results(calls: tuple[ToolCall, ...]) -> list[Said]:
    given = zip(calls, RESULTS, strict=True)
    return [Said("tool", text, call=one) for one, text in given]


def converse(
    platform: Platform, broken: Broken, speech: Speech, *, is_streamed: bool
) -> Any:
    """The second request: a question, an answer with calls, and what they gave."""
    name = platform.name
    replies = [Reply(whole(name, speech)), Reply(whole(name, SAYS))]
    if is_streamed:
        replies = [Reply("".join(stream(name, one))) for one in (speech, SAYS)]
    server = broken(*replies)
    pieces: list[str] | None = [] if is_streamed else None

    async def use(adapter: Vendor) -> Answer:
        said = [Said("user", "Find out.")]
        answer = await adapter.turn(turn(*said, pieces=pieces))
        said.append(Said("assistant", answer.text, answer.calls))
        said += results(answer.calls)
        return await adapter.turn(turn(*said, pieces=pieces))

    effort = {"effort": "low"} if name == "responses" else {}
    answer = with_adapter(platform.adapter(server.url, **effort), use)
    assert answer.text == SAYS.text
    return server.requests[1].body


def asked(platform: Platform, broken: Broken, given: Turn) -> Any:
    """What a new adapter makes of a turn."""
    server = broken(Reply(whole(platform.name, SAYS)))
    with_adapter(platform.adapter(server.url), lambda adapter: adapter.turn(given))
    return server.requests[0].body


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "in pieces"])
def test_calls_and_what_they_gave_go_back_with_the_thoughts(
    platform: Platform, broken: Broken, is_streamed: bool
) -> None:
    body = converse(platform, broken, ASKS, is_streamed=is_streamed)
    check = {
        "anthropic": _anthropic,
        "chat": _chat,
        "responses": _responses,
        "gemini": _gemini,
        "ollama": _ollama,
    }
    check[platform.name](body)


def _anthropic(body: Any) -> None:
    assert body["system"] == "You are alice."
    question, answer, given = body["messages"]
    assert question["content"] == [{"type": "text", "text": "Find out."}]
    thought, text, *calls = answer["content"]
    signed = {"thinking": ASKS.thought, "signature": SIGNATURE}
    assert thought == {"type": "thinking", **signed}
    assert text == {"type": "text", "text": ASKS.text}
    assert [(one["name"], one["input"]) for one in calls] == _arguments()
    assert given["role"] == "user"
    rows = [(one["tool_use_id"], one["content"]) for one in given["content"]]
    assert rows == [(one["id"], text) for one, text in zip(calls, RESULTS, strict=True)]


def _chat(body: Any) -> None:
    system, question, answer, *given = body["messages"]
    assert (system["role"], system["content"]) == ("system", "You are alice.")
    assert (question["role"], question["content"]) == ("user", "Find out.")
    assert answer["content"] == ASKS.text
    calls = answer["tool_calls"]
    functions = [one["function"] for one in calls]
    found = [(one["name"], json.loads(one["arguments"])) for one in functions]
    assert found == _arguments()
    assert [(one["tool_call_id"], one["content"]) for one in given] == [
        (one["id"], text) for one, text in zip(calls, RESULTS, strict=True)
    ]


def _responses(body: Any) -> None:
    assert body["instructions"] == "You are alice."
    assert body["include"] == ["reasoning.encrypted_content"]
    question, thought, text, *rest = body["input"]
    assert question == {"role": "user", "content": "Find out."}
    assert thought["encrypted_content"] == SIGNATURE
    assert text["content"][0]["text"] == ASKS.text
    calls, given = rest[:2], rest[2:]
    found = [(one["name"], json.loads(one["arguments"])) for one in calls]
    assert found == _arguments()
    assert [(one["call_id"], one["output"]) for one in given] == [
        (one["call_id"], text) for one, text in zip(calls, RESULTS, strict=True)
    ]


def _gemini(body: Any) -> None:
    assert body["systemInstruction"]["parts"] == [{"text": "You are alice."}]
    question, answer, given = body["contents"]
    assert question == {"role": "user", "parts": [{"text": "Find out."}]}
    thought, text, *calls = answer["parts"]
    assert (thought["text"], thought["thought"]) == (ASKS.thought, True)
    assert text["text"] == ASKS.text
    assert [one["thoughtSignature"] for one in calls] == [SIGNATURE, SIGNATURE]
    functions = [one["functionCall"] for one in calls]
    assert [(one["name"], one.get("args", {})) for one in functions] == _arguments()
    assert given["role"] == "user"
    responses = [one["functionResponse"] for one in given["parts"]]
    assert [(one["name"], one["response"]) for one in responses] == [
        ("send", {"sent": "m-1"}),
        ("status", {"result": [1, 2]}),
    ]
    assert not any("id" in one for one in responses)


def _ollama(body: Any) -> None:
    system, question, answer, *given = body["messages"]
    assert (system["role"], system["content"]) == ("system", "You are alice.")
    assert (question["role"], question["content"]) == ("user", "Find out.")
    assert (answer["content"], answer["thinking"]) == (ASKS.text, ASKS.thought)
    functions = [one["function"] for one in answer["tool_calls"]]
    assert [(one["name"], one["arguments"]) for one in functions] == _arguments()
    rows = [(one["tool_name"], one["content"]) for one in given]
    assert rows == [("send", RESULTS[0]), ("status", RESULTS[1])]


def _arguments() -> list[tuple[str, Any]]:
    return [(name, json.loads(text)) for name, text in CALLS]


# --- what an adapter was not there for, or is not whole ----------------------


def test_a_conversation_goes_on_after_a_new_start(
    platform: Platform, broken: Broken
) -> None:
    """Thoughts are forgotten then; text and calls are not."""
    calls = tuple(
        ToolCall(f"made-{number}", name, json.loads(text))
        for number, (name, text) in enumerate(CALLS)
    )
    said = [Said("user", "Find out."), Said("assistant", "I ask.", calls)]
    body = asked(platform, broken, turn(*said, *results(calls)))
    text = json.dumps(body)
    for word in ("Find out.", "I ask.", "send", "bob", "m-1"):
        assert word in text
    if platform.name == "gemini":  # which wants the first of them signed
        first, second = body["contents"][1]["parts"][1:]
        assert first["thoughtSignature"]
        assert "thoughtSignature" not in second
        assert "made-" not in text


def test_arguments_that_are_no_object_go_back_in_one(
    platform: Platform, broken: Broken
) -> None:
    call = ToolCall("c-1", "send", '{"to": "bo')
    said = [Said("user", "Go."), Said("assistant", "", (call,))]
    given = turn(*said, Said("tool", '{"error": "no JSON"}', call=call))
    text = json.dumps(asked(platform, broken, given)).replace("\\", "")
    assert '"malformed": "{"to": "bo"' in text


def test_a_text_that_is_empty_is_said_to_be(platform: Platform, broken: Broken) -> None:
    """Platforms refuse empty ones."""
    said = [Said("user", " "), Said("assistant", ""), Said("user", "Well?")]
    text = json.dumps(asked(platform, broken, turn(*said)))
    assert text.count("(nothing)") == 2


def test_when_no_more_tools_may_be_called_none_can_be(
    platform: Platform, broken: Broken
) -> None:
    call = ToolCall("c-1", "send", {"to": "bob", "text": "hi"})
    said = [Said("user", "Go."), Said("assistant", "", (call,))]
    given = turn(*said, Said("tool", "{}", call=call), tools=(), system="")
    body = asked(platform, broken, given)
    if platform.name == "anthropic":  # which wants those that were called
        assert body["tool_choice"] == {"type": "none"}
        assert [one["name"] for one in body["tools"]] == ["send"]
    else:
        assert not body.get("tools")
    assert "You are" not in json.dumps(body)


def test_only_openai_itself_is_asked_in_its_newest_words(broken: Broken) -> None:
    """Other servers know the older ones, and no strict schemas."""
    body = asked(BY_NAME["chat"], broken, turn("hello"))
    assert "max_tokens" in body
    assert "strict" not in body["tools"][0]["function"]
    body = asked(BY_NAME["responses"], broken, turn("hello"))
    assert body["tools"][0]["strict"] is False


def test_openai_itself_is_given_strict_schemas(
    broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict: dict[str, Callable[[Any], Any]] = {
        "chat": lambda body: body["tools"][0]["function"]["strict"],
        "responses": lambda body: body["tools"][0]["strict"],
    }
    for name, is_strict in strict.items():
        platform = BY_NAME[name]
        server = broken(Reply(whole(name, SAYS)))
        monkeypatch.setattr(OpenAi, "home", f"{server.url}/v1")
        adapter = OpenAi(Options("a-model", extra=dict(platform.extra)))
        with_adapter(adapter, lambda adapter: adapter.turn(turn("hello")))
        body = server.requests[0].body
        assert is_strict(body) is True
        assert "max_tokens" not in body


# --- what is kept ------------------------------------------------------------


def test_the_oldest_thoughts_are_forgotten() -> None:
    kept = Kept()
    calls = [(ToolCall(f"c-{number}", "send", {}),) for number in range(KEPT + 1)]
    for number, one in enumerate(calls):
        kept.put(one, number)
    assert kept.get(calls[0]) is None
    assert [kept.get(one) for one in calls[1:]] == list(range(1, KEPT + 1))


def test_what_has_no_calls_is_not_kept() -> None:
    kept = Kept()
    kept.put((), "a thought")
    assert kept.get(()) is None
