"""`check` says whether a turn would work, and if not, what is in its way."""

from __future__ import annotations

import socket

import pytest

from ipcbus.adapters.base import Finding
from tests.adapters.vendors.bodies import Speech, whole
from tests.adapters.vendors.conftest import Broken
from tests.adapters.vendors.faults import Reply
from tests.adapters.vendors.platforms import BY_NAME, KEY, Platform, with_adapter
from tests.adapters.vendors.refusals import REFUSALS


def check(platform: Platform, url: str) -> list[Finding]:
    found = with_adapter(platform.adapter(url), lambda adapter: adapter.check())
    assert not any(KEY in one.text for one in found)
    return found


def test_all_is_well(platform: Platform, model: str) -> None:
    sdk, key, reached, answers = check(platform, model)
    assert {one.status for one in (sdk, key, reached, answers)} == {"ok"}
    assert sdk.text.startswith(f"{platform.made_by.package} ")
    assert key.text == f"the key is in {platform.key}"
    assert reached.text == f"{model}{platform.path} can be reached"
    assert answers.text == "a-model answers"


def test_each_refusal_is_a_finding(platform: Platform, broken: Broken) -> None:
    for row in REFUSALS[platform.name]:
        server = broken(Reply(row.body, row.status, row.headers))
        *_, reached, last = check(platform, server.url)
        assert reached == Finding("ok", f"{server.url}{platform.path} can be reached")
        is_passing = row.means.code == "overloaded"
        assert last.status == ("warning" if is_passing else "failed"), row
        assert str(row.status) in last.text or platform.key in last.text


def test_a_server_that_is_not_there(platform: Platform) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        *_, last = check(platform, url)
    assert last.status == "failed"
    assert last.text.startswith(f"{url}{platform.path}: ")


def test_a_model_that_will_not_answer_was_reached(
    platform: Platform, broken: Broken
) -> None:
    speech = Speech("No.", stop="end" if platform.name == "ollama" else "refused")
    *_, last = check(platform, broken(Reply(whole(platform.name, speech))).url)
    says = "answers" if platform.name == "ollama" else "refuses to answer"
    assert last == Finding("ok", f"a-model {says}")


def test_a_server_that_may_need_no_key(
    broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    server = broken(Reply(whole("chat", Speech("ok"))))
    _, key, *_ = check(BY_NAME["chat"], server.url)
    text = "no key in OPENAI_API_KEY; this server may need none"
    assert key == Finding("ok", text)
