"""What every vendor adapter does, held against a server that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.adapters.base import Answer, Usage
from ipcbus.errors import AdapterFailed, KeyRefused, Overloaded
from tests.adapters.vendors.model import USAGE, WORDS, fixtures
from tests.adapters.vendors.platforms import Platform, ask, ask_in_turn, turn
from tests.clis.aimock import serving

pytestmark = pytest.mark.filterwarnings(
    "ignore:FUNCTION_CALL is not a valid FinishReason"  # a slip of aimock's
)

SPENT = Usage(USAGE["prompt_tokens"], USAGE["completion_tokens"])


def test_a_plain_answer(platform: Platform, model: str) -> None:
    answer = ask(platform, model, "say it")
    assert (answer.text, answer.calls, answer.stop) == (WORDS, (), "end")
    assert answer.usage == (Usage() if platform.name == "ollama" else SPENT)


def test_an_answer_in_pieces(platform: Platform, model: str) -> None:
    pieces: list[str] = []
    answer = ask(platform, model, "say it", pieces=pieces)
    assert len(pieces) > 3
    assert "".join(pieces) == answer.text == WORDS
    assert answer.stop == "end"
    assert answer.usage == (Usage() if platform.name == "ollama" else SPENT)


def test_an_overloaded_platform_says_when_to_come_again(
    platform: Platform, model: str
) -> None:
    asked = turn(f"once, {platform.name}")
    first, second = ask_in_turn(platform, model, [asked, asked])
    assert isinstance(first, Overloaded)
    assert first.retry_after_s == 7
    assert "slow down (429)" in str(first)
    assert isinstance(second, Answer)
    assert second.text == WORDS


@pytest.mark.parametrize("pieces", [None, []], ids=["whole", "in pieces"])
def test_a_failing_platform_is_told_of(
    platform: Platform, model: str, pieces: list[str] | None
) -> None:
    with pytest.raises(AdapterFailed, match=r"it broke \(500\)") as failed:
        ask(platform, model, "fail", pieces=pieces)
    assert type(failed.value) is AdapterFailed
    assert failed.value.status == 500


def test_an_answer_that_breaks_off_is_none(platform: Platform, model: str) -> None:
    pieces: list[str] = []
    with pytest.raises(AdapterFailed, match="peer closed connection"):
        ask(platform, model, "break off", pieces=pieces)
    assert len("".join(pieces)) < len(WORDS)


@pytest.mark.parametrize("pieces", [None, []], ids=["whole", "in pieces"])
def test_an_overlong_answer_says_so(
    platform: Platform, model: str, pieces: list[str] | None
) -> None:
    if platform.name == "ollama":
        return  # aimock's never stops for it: see test_faults
    answer = ask(platform, model, "say too much", pieces=pieces)
    assert (answer.text, answer.stop) == ("An answer that", "length")


def test_a_wrong_key_is_told_by_its_variable(
    platform: Platform, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(fixtures(), tmp_path, AIMOCK_API_KEYS="the-right-one") as locked:
        with pytest.raises(KeyRefused) as refused:
            ask(platform, locked, "say it")
        monkeypatch.setenv(platform.key, "the-right-one")
        assert ask(platform, locked, "say it").text == WORDS
    reason = f"the key in {platform.key} was refused (401)"
    assert refused.value.reason == reason
