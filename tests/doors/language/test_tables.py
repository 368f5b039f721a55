"""The tables of the language say the same as each other."""

from __future__ import annotations

import pytest

from ipcbus.doors.cli import said
from ipcbus.doors.language import Intent, acting, doubts, intents, parse
from ipcbus.doors.language.forms import FORMS, MEANS, SHARED, entries, real_words
from ipcbus.doors.language.lists import NO_NAMES, NO_NAMES_BY_THEMSELVES, REAL_WORDS
from ipcbus.doors.language.pattern import Choice, Element, Slot, compiled
from ipcbus.doors.language.slots import FILLERS

ONLY_DOUBTED = {"rename_other", "reply_many", "broadcast_one"}
"""What is understood so that it can be said what is wrong with it."""

OF_HOOKS = {"auto_start", "auto_stop", "auto_status"}


def test_whatever_can_be_understood_can_be_carried_out_and_told() -> None:
    understood = {entry.action for entry in entries()} - ONLY_DOUBTED

    assert understood == intents.ACTIONS
    assert set(acting._ACTIONS) == intents.ACTIONS - OF_HOOKS - {"help"}
    assert set(said._TELL) == intents.ACTIONS


def test_rows_with_other_words_for_an_action_are_rows() -> None:
    assert set(MEANS) <= set(FORMS)
    assert {action for action, _ in MEANS.values()} <= intents.ACTIONS


def _slots(form: tuple[Element, ...]) -> set[str]:
    found: set[str] = set()
    for element in form:
        if isinstance(element, Slot):
            found.add(element.name)
        elif isinstance(element, Choice):
            found.update(*map(_slots, element.options))
    return found


def test_every_slot_of_a_form_can_be_filled_and_every_filler_is_used() -> None:
    used = set[str]().union(*(_slots(entry.form) for entry in entries()))

    assert used == set(FILLERS)


def test_every_shared_piece_is_used() -> None:
    texts = [*SHARED.values(), *(text for row in FORMS.values() for text in row)]

    for name in SHARED:
        assert any(f"${name}" in text for text in texts), name


@pytest.mark.parametrize("broken", ["(a|b", "[a", "a)", "a]", "{x"])
def test_a_form_that_is_not_closed_is_refused(broken: str) -> None:
    with pytest.raises(ValueError):
        compiled(broken, {})


def test_no_word_of_a_form_is_in_capitals() -> None:
    assert all(word == word.lower() for word in real_words())


def test_lists_of_words_do_not_repeat_each_other() -> None:
    assert not NO_NAMES & NO_NAMES_BY_THEMSELVES
    assert all(word.isalpha() for word in REAL_WORDS)


@pytest.mark.parametrize("text", [text for text, _ in said.SENTENCES])
def test_what_help_lists_is_understood(text: str) -> None:
    assert isinstance(parse(text), Intent)


def test_help_lists_every_action() -> None:
    listed = {parse(text).action for text, _ in said.SENTENCES}  # type: ignore[union-attr]

    assert listed == intents.ACTIONS - {"help"}


@pytest.mark.parametrize(
    "text", [text for texts in doubts._EXAMPLES.values() for text in texts]
)
def test_every_example_is_understood(text: str) -> None:
    assert isinstance(parse(text), Intent)
