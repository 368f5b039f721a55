"""What the user says of a model: read, or refused with what it may be."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ipcbus.adapters.base import Answer, Limits, Options
from ipcbus.adapters.vendor import Vendor
from ipcbus.errors import AdapterFailed, AdapterMissing, KeyRefused, UsageError
from tests.adapters.vendors.bodies import Speech, whole
from tests.adapters.vendors.conftest import Broken
from tests.adapters.vendors.faults import Faulty, Reply
from tests.adapters.vendors.platforms import (
    BY_NAME,
    KEY,
    Platform,
    turn,
    with_adapter,
)

NOBODY = "http://127.0.0.1:9"


def answering(platform: Platform, broken: Broken) -> Faulty:
    return broken(Reply(whole(platform.name, Speech("Yes."))))


def use(adapter: Vendor, **given: Any) -> Answer:
    return with_adapter(adapter, lambda one: one.turn(turn("hello", **given)))


# --- what is refused --------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (Options(), "which model? Say it with --model"),
        (Options("m", command=("cat",)), "takes no command"),
        (Options("m", extra={"colour": "red"}), "has no option 'colour'; it has: "),
        (Options("m", extra={"temperatur": 1}), "did you mean temperature?"),
        (
            Options("m", extra={"temperature": "warm"}),
            "temperature is 'warm', but must be a number from 0 to 2",
        ),
        (Options("m", extra={"temperature": True}), "a number from 0 to 2"),
        (Options("m", extra={"temperature": "nan"}), "a number from 0 to 2"),
        (Options("m", extra={"max_tokens": 0}), "a whole number from 1 to 10000000"),
        (Options("m", extra={"max_tokens": "1.5"}), "a whole number from 1"),
        (Options("m", extra={"key_variable": "$A"}), "the name of a variable"),
        (Options("m", extra={"key_variable": 7}), "the name of a variable"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    platform: Platform, options: Options, reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        platform.made_by(options)
    assert reason in refused.value.reason
    assert platform.made_by.name in refused.value.reason


@pytest.mark.parametrize(
    ("name", "extra", "reason"),
    [
        ("chat", {"api": "telegraph"}, "one of chat, responses"),
        ("chat", {"effort": "much"}, "one of none, minimal, low, medium, high, xhigh"),
        ("ollama", {"num_ctx": "-1"}, "a whole number from 1"),
        ("ollama", {"think": "maybe"}, "true or false"),
        ("anthropic", {"api": "chat"}, "has no option 'api'"),
    ],
)
def test_each_has_options_of_its_own(
    name: str, extra: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        BY_NAME[name].made_by(Options("m", extra=extra))
    assert reason in refused.value.reason


def test_an_address_that_is_none_is_told(platform: Platform) -> None:
    with pytest.raises((UsageError, AdapterFailed)) as refused:
        use(platform.made_by(Options("m", "http://[")))
    assert platform.made_by.name in str(refused.value)


# --- keys and addresses -----------------------------------------------------


def test_a_key_that_is_not_there_is_told_by_its_variable(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(platform.key)
    if not platform.made_by.wants_key:
        with_adapter(platform.made_by(Options("m")), closed)
        return
    with pytest.raises(KeyRefused) as refused:
        platform.made_by(Options("m"))
    assert "there is no key: set " in refused.value.reason
    assert platform.key in refused.value.reason


async def closed(adapter: Vendor) -> None:
    assert not adapter.key.value


def test_a_server_of_ones_own_needs_no_key(
    platform: Platform, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(platform.key)
    server = answering(platform, broken)
    assert use(platform.adapter(server.url)).text == "Yes."


def test_a_key_that_was_named_has_to_be_there(platform: Platform) -> None:
    with pytest.raises(KeyRefused, match="set MY_OWN_KEY"):
        platform.adapter(NOBODY, key_variable="MY_OWN_KEY")


def test_a_key_may_be_in_a_variable_of_another_name(
    platform: Platform, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_OWN_KEY", "of-my-own")
    server = answering(platform, broken)
    use(platform.adapter(server.url, key_variable="MY_OWN_KEY"))
    headers = "\n".join(server.requests[0].headers.values())
    assert "of-my-own" in headers
    assert KEY not in headers


def test_the_usual_variable_names_the_server(
    platform: Platform, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = answering(platform, broken)
    monkeypatch.setenv(platform.address, server.url + platform.path)
    adapter = platform.made_by(Options("a-model", extra=dict(platform.extra)))
    assert use(adapter).text == "Yes."


@pytest.mark.parametrize(
    ("name", "variable", "header"),
    [
        ("anthropic", "ANTHROPIC_AUTH_TOKEN", f"Bearer {KEY}"),
        ("gemini", "GOOGLE_API_KEY", KEY),
    ],
)
def test_other_usual_variables_hold_a_key_too(
    name: str,
    variable: str,
    header: str,
    broken: Broken,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = BY_NAME[name]
    monkeypatch.delenv(platform.key)
    monkeypatch.setenv(variable, KEY)
    server = answering(platform, broken)
    use(platform.adapter(server.url))
    assert header in server.requests[0].headers.values()


# --- what becomes of them ---------------------------------------------------

ASKED = {
    "anthropic": ("temperature", "max_tokens"),
    "chat": ("temperature", "max_tokens"),
    "responses": ("temperature", "max_output_tokens"),
    "gemini": ("temperature", "maxOutputTokens"),
    "ollama": ("temperature", "num_predict"),
}


def test_options_may_be_text_or_values(platform: Platform, broken: Broken) -> None:
    server = answering(platform, broken)
    use(platform.adapter(server.url, temperature="0.5", max_tokens="40"))
    use(platform.adapter(server.url, temperature=0.5, max_tokens=40))
    for request in server.requests:
        body = request.body
        inner = body.get("generationConfig") or body.get("options") or body
        assert [inner[name] for name in ASKED[platform.name]] == [0.5, 40]


def test_an_answer_is_never_longer_than_the_turn_allows(
    platform: Platform, broken: Broken
) -> None:
    server = answering(platform, broken)
    adapter = platform.adapter(server.url, max_tokens=1000)
    use(adapter, limits=Limits(max_tokens=30, timeout_s=20.0))
    body = server.requests[0].body
    inner = body.get("generationConfig") or body.get("options") or body
    assert inner[ASKED[platform.name][1]] == 30


def test_the_options_of_openai_and_ollama_reach_the_server(broken: Broken) -> None:
    chat, responses, ollama = (
        BY_NAME[name] for name in ("chat", "responses", "ollama")
    )
    server = answering(chat, broken)
    use(chat.adapter(server.url, effort="low"))
    assert server.requests[0].body["reasoning_effort"] == "low"
    server = answering(responses, broken)
    use(responses.adapter(server.url, effort="low"))
    assert server.requests[0].body["reasoning"] == {"effort": "low"}
    assert server.requests[0].body["store"] is False
    server = answering(ollama, broken)
    use(ollama.adapter(server.url, num_ctx="8192", think="true"))
    assert server.requests[0].body["options"]["num_ctx"] == 8192
    assert server.requests[0].body["think"] is True


# --- the SDKs ---------------------------------------------------------------


def test_an_sdk_that_is_missing_is_told_with_how_to_get_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anthropic", "openai", "google.genai", "ollama"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("google.genai", raising=False)
    with pytest.raises(AdapterMissing) as missing:
        platform.made_by(Options("m", extra=dict(platform.extra)))
    needs = platform.made_by.needs
    assert f"pip install 'ipcbus[{needs}]'" in missing.value.reason


def test_no_sdk_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, ipcbus.adapters.anthropic, ipcbus.adapters.openai\n"
        "import ipcbus.adapters.gemini, ipcbus.adapters.ollama\n"
        "sdks = {'anthropic', 'openai', 'google.genai', 'ollama'}\n"
        "print(*(sdks | {'pydantic', 'httpx'}) & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
