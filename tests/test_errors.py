"""One tree of errors: codes, exit codes, sentences, and the way over the wire."""

from __future__ import annotations

import pickle
import re
from string import Formatter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipcbus import errors
from ipcbus.errors import (
    BY_CODE,
    CannotServe,
    IpcbusError,
    NoBroker,
    NothingThere,
    ProtocolError,
    Refused,
    TimedOut,
    UnknownRecipient,
    UsageError,
    from_wire,
)

EVERY = pytest.mark.parametrize("kind", BY_CODE.values(), ids=list(BY_CODE))

facts = st.dictionaries(
    st.text(max_size=8)
    | st.sampled_from(["self", "reason", "seconds", "code", "args", "facts", "id"]),
    st.none() | st.integers() | st.text() | st.lists(st.integers(), max_size=2),
    max_size=5,
)


def _names(kind: type[IpcbusError]) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(kind.sentence) if name]


def _facts(kind: type[IpcbusError]) -> dict[str, Any]:
    """A fact for each place of the sentence."""
    return {
        name: 2.5 if name == "seconds" else f"<{name.upper()}>" for name in _names(kind)
    }


def test_each_class_has_a_code_of_its_own() -> None:
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, IpcbusError)
    ]
    assert len({kind.code for kind in classes}) == len(classes) == len(BY_CODE)
    assert all(re.fullmatch(r"[a-z_]+", kind.code) for kind in classes)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Names, codes, exit codes where they differ from the parent's, and the shape."""
    assert errors.__doc__ is not None
    told = re.findall(
        r"^    ([│├└─ ]*)(\w+) +([a-z_]+)(?: +(\d+))?(?:  .*)?$",
        errors.__doc__,
        re.MULTILINE,
    )
    above: dict[int, str] = {}
    for indent, name, code, exit_code in told:
        kind = getattr(errors, name)
        depth = len(indent) // 3
        above[depth] = name
        assert kind.code == code
        if depth:
            assert kind.__base__.__name__ == above[depth - 1]
        wanted = exit_code or kind.__base__.exit_code
        assert kind.exit_code == int(wanted), name
    assert {name for _, name, _, _ in told} == {
        kind.__name__ for kind in BY_CODE.values()
    }


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (IpcbusError, 1),
        (UsageError, 2),
        (NothingThere, 3),
        (NoBroker, 4),
        (Refused, 5),
        (UnknownRecipient, 6),
        (ProtocolError, 7),
        (CannotServe, 10),
    ],
)
def test_exit_codes_are_those_that_scripts_rely_on(
    kind: type[IpcbusError], exit_code: int
) -> None:
    assert kind.exit_code == exit_code


def test_each_reason_for_which_a_broker_cannot_start_has_its_own_exit_code() -> None:
    found = [
        kind.exit_code for kind in BY_CODE.values() if issubclass(kind, CannotServe)
    ]
    assert len(set(found)) == len(found)
    assert min(found) == 10


@EVERY
def test_a_sentence_shows_each_of_its_facts(kind: type[IpcbusError]) -> None:
    given_facts = _facts(kind)
    text = str(kind(**given_facts))
    for fact in given_facts.values():
        assert str(fact) in text
    assert "\n" not in text


@EVERY
def test_a_missing_fact_is_shown_by_its_name(kind: type[IpcbusError]) -> None:
    text = str(kind())
    assert text
    assert all(f"<{name}>" in text for name in _names(kind))


@EVERY
def test_facts_are_attributes(kind: type[IpcbusError]) -> None:
    error = kind(**_facts(kind))
    for name, fact in _facts(kind).items():
        assert getattr(error, name) == fact
    with pytest.raises(AttributeError, match="never_given"):
        _ = error.never_given


@EVERY
def test_an_error_crosses_the_wire_as_the_same_class(kind: type[IpcbusError]) -> None:
    error = kind(**_facts(kind))
    again = from_wire(*error.to_wire())
    assert type(again) is kind
    assert again.facts == error.facts
    assert str(again) == str(error)


@EVERY
def test_an_error_can_be_pickled(kind: type[IpcbusError]) -> None:
    error = kind(**_facts(kind))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert again.facts == error.facts


def test_a_code_of_a_newer_peer_hides_nothing() -> None:
    error = from_wire("too_purple", {"shade": "violet"})
    assert type(error) is IpcbusError
    assert "too_purple" in str(error)
    assert "violet" in str(error)


@example("local_protocol", {"reason": ""})
@given(st.sampled_from(sorted(BY_CODE)) | st.text(max_size=8), facts)
def test_whatever_facts_a_peer_sends_the_error_can_be_shown(
    code: str, given_facts: dict[str, Any]
) -> None:
    error = from_wire(code, given_facts)
    assert str(error)
    assert repr(error)
    assert error.code in BY_CODE


def test_a_fact_of_the_wrong_type_does_not_hide_the_error() -> None:
    assert str(TimedOut(what="ask", seconds="long")) == (
        "timed_out: {'what': 'ask', 'seconds': 'long'}"
    )
