"""What is said to who was not understood."""

from __future__ import annotations

import pytest

from ipcbus.doors.language import Unsure, parse


def test_who_leaves_somebody_out_is_told_what_to_say_instead() -> None:
    found = parse("tell everyone except bob the build is red")

    assert isinstance(found, Unsure)
    assert "nobody can be left out" in found.says
    assert found.examples == (
        "tell alice: ...",
        "post to #topic: ...",
        "broadcast: except bob the build is red",
    )


@pytest.mark.parametrize("sentence", ["unregister bob", "de-register as bob"])
def test_who_unregisters_is_told_who_can(sentence: str) -> None:
    found = parse(sentence)

    assert isinstance(found, Unsure)
    assert (found.reason, found.examples) == ("unknown", ("ipcbus revoke bob",))


def test_only_the_ends_of_a_long_text_are_searched_for_who_is_left_out() -> None:
    long = "a, " * 300_000

    assert isinstance(parse(f"broadcast to all {long} but bob"), Unsure)
    assert not isinstance(parse(f"broadcast to all {long} but bob {long}"), Unsure)
