"""What goes wrong in a turn and is not the model's fault: the bus, the ledger, we."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

import ipcbus
from ipcbus.adapters import runner, thinking
from ipcbus.adapters.base import Answer, Turn
from ipcbus.adapters.budget import Account
from ipcbus.adapters.ledger import Ledger
from ipcbus.client.message import AsyncMessage
from ipcbus.errors import (
    AdapterFailed,
    BoundExceeded,
    Disconnected,
    NotPermitted,
    StaleFile,
    StaleLease,
)
from tests.adapters.conftest import acked, ask, received
from tests.adapters.models import Serving, Told, in_turn, serving
from tests.waiting import until_async


def test_who_writes_to_itself_is_answered_once_and_not_without_end(
    alice: ipcbus.Client,
) -> None:
    async def story() -> None:
        model = Told("A note of mine.")
        async with serving(model) as served:
            await served.client.send("LLAMA", "Remember the milk.")
            await until_async(lambda: acked(alice) == 2)
        assert len(model.turns) == 1

    asyncio.run(story())


def test_however_many_come_in_a_turn_the_answers_to_all_can_be_sent(
    alice: ipcbus.Client,
) -> None:
    """They name what they answer in a header, which has a bound."""

    async def story() -> None:
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(turn: Turn) -> Answer:
            asked.set()
            await go_on.wait()
            return Answer(turn.said[-1].text[-80:])

        async with serving(Told(slowly)) as served:
            for number in range(60):
                alice.send("llama", f"part {number}", id=f"{number:064}", thread="t")
                await asked.wait()
            await until_async(lambda: waits(served, 0))
            go_on.set()
            named: list[str] = []
            while len(named) < 60:
                [answer] = await received(alice)
                named += answer.headers["answers"].split()
        assert named == [f"{number:064}" for number in range(60)]
        assert served.lines == []

    asyncio.run(story())


def test_a_runner_that_was_too_slow_says_nothing_when_another_has_answered(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other answers its message together with a later one, under another id."""
    monkeypatch.setattr(runner, "LEASE_S", 1.0)
    monkeypatch.setattr(runner, "HOLD_EVERY_S", 60.0)

    async def story() -> None:
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(turn: Turn) -> Answer:
            asked.set()
            await go_on.wait()
            return Answer("Late.")

        async with serving(Told(slowly), conversations=1) as slow:
            alice.send("llama", "part 0", thread="t")
            await asyncio.wait_for(asked.wait(), 20)
            alice.send("llama", "part 1", thread="t")
            await until_async(lambda: waits(slow, 2))
            async with serving(Told("In time.")):
                [answer] = await received(alice)
                assert len(answer.headers["answers"].split()) == 2
                go_on.set()
                await until_async(lambda: any("lease" in line for line in slow.lines))
        assert alice.receive(1, timeout=0.2) == []

    asyncio.run(story())


async def own_box(served: Serving) -> dict[str, int]:
    boxes: dict[str, dict[str, int]] = (await served.client.status())["mailboxes"]
    return boxes["llama"]


async def waits(served: Serving, count: int) -> bool:
    return (await own_box(served))["waiting"] == count


@pytest.mark.parametrize("full", [True, False])
def test_an_answer_that_finds_no_room_is_given_later_and_one_refused_is_not(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    async def story() -> None:
        real = AsyncMessage.reply
        no_room = BoundExceeded(bound="mailbox", value=11, limit=10)
        refusals = [no_room if full else NotPermitted(what="to answer", who="llama")]

        async def reply(self: AsyncMessage, *args: Any, **options: Any) -> Any:
            if refusals:
                raise refusals.pop()
            return await real(self, *args, **options)

        monkeypatch.setattr(AsyncMessage, "reply", reply)
        model = Told("Here.")
        async with serving(model) as served:
            alice.send("llama", "hello?")
            await until_async(lambda: bool(served.lines))
            if full:
                await received(alice)
            else:
                await until_async(lambda: acked(alice) == 1)
        assert len(model.turns) == 1 + full

    asyncio.run(story())


def test_a_lost_lease_of_one_message_leaves_the_others_acked(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        lost = alice.send("llama", "part 0").id
        alice.send("llama", "part 1")
        real = AsyncMessage.ack

        async def ack(self: AsyncMessage) -> None:
            await real(self)
            if self.id == lost:
                raise StaleLease(id=self.id)

        monkeypatch.setattr(AsyncMessage, "ack", ack)
        async with serving(Told("Got it.")) as served:
            await received(alice)
            await until_async(lambda: acked(alice) == 3)
        assert served.lines == []

    asyncio.run(story())


def was_heard(model: Told, text: str) -> bool:
    return any(text in one.text for turn in model.turns for one in turn.said)


def test_what_the_bus_refuses_in_a_turn_comes_again_soon(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when its lease has run out; and what came meanwhile is not forgotten."""

    async def story() -> None:
        real = thinking.Thinker.answer
        tries = 0

        async def answer(self: Any, *args: Any) -> str:
            nonlocal tries
            tries += 1
            if tries == 1:
                alice.send("llama", "part 1", thread="t")
                raise Disconnected(reason="the broker left")
            return await real(self, *args)

        monkeypatch.setattr(thinking.Thinker, "answer", answer)
        model = Told("Here.")
        async with serving(model):
            alice.send("llama", "part 0", thread="t")
            for part in range(2):
                await until_async(partial(was_heard, model, f"part {part}"))

    asyncio.run(story())


def test_a_message_comes_again_later_each_time(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "AGAIN_S", 0.02)

    async def story() -> None:
        down = AdapterFailed(adapter="x", reason="500")
        model = Told(in_turn(*[down] * 6, "Up again."))
        async with serving(model) as served:
            await ask(alice, "Now?")
        waits = [line.rpartition(" in ")[2] for line in served.lines]
        assert waits == ["0.02 s", "0.08 s"]

    asyncio.run(story())


def test_an_agent_whose_ledger_is_damaged_ends_and_keeps_its_mail(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(self: Ledger) -> list[Account]:
        raise StaleFile(path="other.json", reason="is damaged", mend="move it away")

    async def ends() -> None:
        async with serving(Told("ok")) as served:
            alice.send("llama", "hello?")
            await served.ends()

    async def later() -> None:
        async with serving(Told("Here.")):
            [answer] = await received(alice)
            assert answer.body == "Here."

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "everybody", damaged)
        with pytest.raises(StaleFile, match="move it away"):
            asyncio.run(ends())
    asyncio.run(later())


def test_what_was_answered_is_acked_even_if_it_cannot_be_counted(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any) -> None:
        raise StaleFile(path="llama.json", reason="is damaged", mend="move it away")

    async def story() -> None:
        async with serving(Told("Here.")) as served:
            await ask(alice, "hello?")
            await served.ends()

    with monkeypatch.context() as patched:
        patched.setattr(Account, "took_turn", damaged)
        with pytest.raises(StaleFile, match="move it away"):
            asyncio.run(story())
    assert acked(alice) == 2


def test_a_fault_of_a_turn_ends_the_agent_and_is_not_hidden(
    alice: ipcbus.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async def broken(*_: Any) -> str:
            raise ZeroDivisionError

        monkeypatch.setattr(thinking.Thinker, "answer", broken)
        async with serving(Told("ok")) as served:
            alice.send("llama", "hello?")
            await served.ends()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(story())
