"""An agent that has spent enough stops, says so, and goes on when it may."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

import ipcbus
from ipcbus.adapters.base import Answer, Turn, Usage
from ipcbus.adapters.budget import Account, Bounds
from tests.adapters.conftest import acked, ask, received
from tests.adapters.models import Told, calls, in_turn, serving
from tests.waiting import until_async

# --- bounds -----------------------------------------------------------------------


def test_an_agent_that_has_answered_enough_stops_and_says_so(
    alice: ipcbus.Client,
) -> None:
    async def story() -> None:
        with ipcbus.connect("dev", agent="boss") as boss:
            bounds = Bounds(turns_per_thread=2)
            async with serving(Told("ok"), bounds=bounds, human="boss") as served:
                thread = (await ask(alice, "1")).thread or ""
                await ask(alice, "2", thread=thread)
                alice.send("llama", "3", thread=thread)
                [told] = await received(alice)
                assert "paused until somebody says: ipcbus resume llama" in told.body
                [said] = await asyncio.to_thread(boss.receive, 1, 20)
                assert said.labels == ("paused",)
                assert served.ledger.read().stopped is not None

            # It survives a restart, and goes on when a person says so.
            async with serving(Told("again"), bounds=bounds) as served:
                assert await asyncio.to_thread(alice.receive, 1, 0.4) == []
                served.ledger.change(Account.resume)
                [answer] = await received(alice)
                assert answer.body == "again"

    asyncio.run(story())


def test_a_turn_without_an_answer_counts_as_well(alice: ipcbus.Client) -> None:
    async def story() -> None:
        bounds = Bounds(turns_per_thread=2)
        async with serving(Told("NO_REPLY"), bounds=bounds):
            for _ in range(2):  # one after the other: what comes at once is one turn
                before = acked(alice)
                alice.send("llama", "go on", thread="t")
                await until_async(partial(_is_acked, alice, before))
            alice.send("llama", "go on", thread="t")
            [told] = await received(alice)
            assert "2 turns in conversation t" in told.body

    asyncio.run(story())


def _is_acked(client: ipcbus.Client, before: int) -> bool:
    return acked(client) > before


def test_tokens_of_a_day_are_bounded(alice: ipcbus.Client) -> None:
    async def story() -> None:
        model = Told(lambda turn: Answer("ok", usage=Usage(600, 500)))
        async with serving(model, bounds=Bounds(tokens_per_day=1000)) as served:
            await ask(alice, "1")
            alice.send("llama", "2")
            [told] = await received(alice)
            assert "1100 tokens today" in str(told.body)
            assert served.ledger.read().unpriced == 1
        assert len(model.turns) == 1

    asyncio.run(story())


def test_no_bound_on_calls_of_tools_is_no_ban_on_tools(alice: ipcbus.Client) -> None:
    async def story() -> None:
        model = Told(in_turn(*[calls("agents")] * 30, "Enough."))
        async with serving(model, bounds=Bounds(tool_calls=0)):
            assert (await ask(alice, "Go.")).body == "Enough."
        assert len(model.turns) == 31

    asyncio.run(story())


# --- progress ---------------------------------------------------------------------


def test_who_asked_for_it_is_told_how_far_the_model_is(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipcbus.adapters.progress.EVERY_S", 0.0)

    async def story() -> None:
        heard = asyncio.Semaphore(0)

        async def slowly(turn: Turn) -> Answer:
            assert turn.on_text is not None
            for word in ("It ", "is ", "green."):
                turn.on_text(word)
                await heard.acquire()
            return Answer("It is green.")

        async with serving(Told(slowly)):
            alice.send("llama", "Well?", kind="request", labels=("progress",))
            found = []
            for _ in range(4):
                found += await received(alice, 1)
                heard.release()
        assert [each.body for each in found[:3]] == ["It ", "It is ", "It is green."]
        assert {each.kind for each in found[:3]} == {"ack"}
        assert (found[3].kind, found[3].body) == ("reply", "It is green.")

    asyncio.run(story())
