"""A turn needs no bus: it is a value."""

from __future__ import annotations

import asyncio

import pytest
from ipcbus_shout import Shout

from ipcbus.adapters.base import Options, Said, Turn
from ipcbus.errors import UsageError

TURN = Turn("You are loud.", (Said("user", "hello"),))


def test_it_is_louder() -> None:
    pieces: list[str] = []

    answer = asyncio.run(
        Shout(Options(extra={"mark": "?"})).turn(TURN._replace(on_text=pieces.append))
    )

    assert answer.text == "HELLO?"
    assert pieces == ["HELLO?"]


def test_an_option_that_it_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="mark"):
        Shout(Options(extra={"volume": "11"}))
