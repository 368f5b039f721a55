"""What a model may say in JSON that is no text, and no path: it ends no agent."""

from __future__ import annotations

import asyncio

import pytest

import ipcbus
from tests.adapters.conftest import ask
from tests.adapters.models import Told, calls, in_turn, serving


def test_half_a_letter_in_an_answer_does_not_end_the_agent(
    alice: ipcbus.Client,
) -> None:
    async def story() -> None:
        async with serving(Told("yes \ud83d")):
            assert (await ask(alice, "Is it green?")).body == "yes ?"

    asyncio.run(story())


@pytest.mark.parametrize("path", ["a\0b", "\ud83d"])
def test_an_attachment_that_is_no_path_does_not_end_the_agent(
    alice: ipcbus.Client, path: str
) -> None:
    async def story() -> None:
        send = calls("send", to="alice", text="x", attach=[path])
        model = Told(in_turn(send, "It is no path."))
        async with serving(model):
            assert (await ask(alice, "Send it.")).body == "It is no path."
        assert '"code": "usage"' in model.heard

    asyncio.run(story())
