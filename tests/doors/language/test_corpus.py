"""Sentences that people say are understood, or it is said why not."""

from __future__ import annotations

import pytest

from ipcbus.doors.language import Intent, Unsure, parse
from tests.doors.language.corpus import SURE, UNSURE, Meaning


def test_the_corpus_is_large_and_says_nothing_twice() -> None:
    said = [sentence for sentence, _ in (*SURE, *UNSURE)]

    assert len(SURE) >= 300
    assert len(UNSURE) >= 60
    assert len(set(said)) == len(said)


@pytest.mark.parametrize(("sentence", "meaning"), SURE)
def test_it_is_understood(sentence: str, meaning: Meaning) -> None:
    found = parse(sentence)

    assert isinstance(found, Intent), found
    assert (found.action, dict(found.fields)) == meaning


@pytest.mark.parametrize(("sentence", "reason"), UNSURE)
def test_it_is_not_carried_out_and_says_why(sentence: str, reason: str) -> None:
    found = parse(sentence)

    assert isinstance(found, Unsure), found
    assert found.reason == reason, found
    assert found.says
    assert found.examples
