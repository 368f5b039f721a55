"""docs/say.md tells what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from ipcbus.doors.language import Intent, Unsure, intents, parse

PAGE: Final = (Path(__file__).parents[3] / "docs" / "say.md").read_text()
DONE, _, REFUSED = PAGE.partition("\n## What is not carried out\n")


def _rows(text: str) -> list[tuple[str, str]]:
    """Each sentence of the tables in `text`, and the right column of its row."""
    return [
        (sentence, right)
        for left, right in re.findall(r"^\| (`.*`) \| (\w+) \|$", text, re.MULTILINE)
        for sentence in re.findall(r"`([^`]+)`", left)
    ]


@pytest.mark.parametrize(("sentence", "action"), _rows(DONE))
def test_a_sentence_of_the_page_does_what_it_says(sentence: str, action: str) -> None:
    found = parse(sentence)

    assert isinstance(found, Intent), found
    assert found.action == action


@pytest.mark.parametrize(("sentence", "reason"), _rows(REFUSED))
def test_a_sentence_that_the_page_refuses_is_refused(
    sentence: str, reason: str
) -> None:
    found = parse(sentence)

    assert isinstance(found, Unsure), found
    assert found.reason == reason


def test_the_page_has_every_action_and_every_reason() -> None:
    reasons = re.findall(
        r"[a-z_]{4,}", str(intents.Unsure.__doc__).partition("why:")[2]
    )

    assert {action for _, action in _rows(DONE)} == intents.ACTIONS
    known = {reason for _, reason in _rows(REFUSED)}
    assert known <= set(reasons)
    assert len(known) == 11
