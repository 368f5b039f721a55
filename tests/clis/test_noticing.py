"""Mail finds an AI that does not look for it: the hooks show it to the model."""

from __future__ import annotations

import pytest

from ipcbus import Client
from tests.clis.conftest import Sit
from tests.clis.script import Call, Say
from tests.clis.seats import SEATS
from tests.clis.test_talking import left_over

PROMPT = "Go on with your work."
MAIL = "the build is as green as a meadow"

each_program = pytest.mark.parametrize("name", SEATS)


@each_program
def test_mail_that_waits_is_shown_with_the_first_prompt(
    name: str, sit: Sit, bob: Client
) -> None:
    seat = sit(name, Say("Fine."))
    bob.send(name, MAIL)
    seat.ask(PROMPT)
    first = seat.model.requests[0]
    assert_shown(first.news)
    assert left_over(name) == []


@each_program
def test_mail_that_comes_in_a_turn_is_shown_after_the_next_tool(
    name: str, sit: Sit, bob: Client
) -> None:
    seat = sit(name, Call("status", {}), Say("Fine."))
    seat.model.when(PROMPT, lambda: bob.send(name, MAIL))
    seat.ask(PROMPT)
    before, after, *_ = seat.model.requests
    assert MAIL not in before.text
    assert_shown(after.news)


@each_program
def test_mail_that_comes_at_the_end_of_a_turn_is_shown_before_it_stops(
    name: str, sit: Sit, bob: Client
) -> None:
    seat = sit(name, Say("Fine."), Say("So the build is green."))
    seat.model.when(PROMPT, lambda: bob.send(name, MAIL))
    assert "So the build is green." in seat.ask(PROMPT)
    before, after, *more = seat.model.requests
    assert MAIL not in before.text
    assert_shown(after.news)
    assert not more


def assert_shown(news: str) -> None:
    """The mail stands there, with its sender before it, under our name."""
    assert MAIL in news
    assert "bob" in news[: news.index(MAIL)].rpartition("ipcbus")[2]
