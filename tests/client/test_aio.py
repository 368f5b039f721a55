"""`AsyncClient` and a real broker: the same words, awaited."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

import ipcbus
from ipcbus import AsyncClient, Outgoing, Receipt
from ipcbus.errors import (
    Disconnected,
    NoBroker,
    NotPermitted,
    TimedOut,
    UnknownRecipient,
)
from ipcbus.networks import BrokerInfo, Network
from tests.waiting import until, until_async

Test = Callable[[AsyncClient, AsyncClient], Awaitable[None]]


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[AsyncClient, AsyncClient]]:
    async with (
        await ipcbus.connect_async("dev", agent="alice") as alice,
        await ipcbus.connect_async("dev", agent="bob") as bob,
    ):
        yield alice, bob


def run(test: Test) -> None:
    """Run `test(alice, bob)` in a loop of its own."""

    async def main() -> None:
        async with pair() as (alice, bob):
            await test(alice, bob)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_messages_go_back_and_forth(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        receipt = await alice.send("bob", "hello")
        (message,) = await bob.receive(timeout=5)
        assert (message.id, message.body) == (receipt.id, "hello")
        await message.reply("hi")
        await message.ack()
        assert (await alice.receive(timeout=5))[0].body == "hi"
        with pytest.raises(UnknownRecipient):
            await alice.send("nobody", "x")

    run(test)


def test_async_for_takes_what_comes(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        sendings = [await alice.submit("bob", str(n)) for n in range(500)]
        got = []
        async for message in bob:
            got.append(message.body)
            message.ack()
            if len(got) == 500:
                break
        assert got == [str(n) for n in range(500)]
        assert {(await sending).state for sending in sendings} == {"accepted"}
        await bob.flush()
        assert await bob.fetch() == ([], 0)

    run(test)


def test_a_cancelled_receive_loses_nothing(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        got: list[str] = []

        async def read() -> None:
            while True:
                for message in await bob.receive(5):
                    got.append(str(message.body))
                    message.ack()

        def more_than(count: int) -> bool:
            return len(got) > count

        async def send() -> None:
            for number in range(300):
                await alice.send("bob", str(number))

        sender = asyncio.create_task(send())
        while len(got) < 300:
            reader = asyncio.create_task(read())
            await until_async(partial(more_than, len(got)))
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        await sender
        assert got == [str(n) for n in range(300)]

    run(test)


def test_many_questions_at_once(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        async def answer() -> None:
            async for message in bob:
                await message.reply(message.body)
                message.ack()

        server = asyncio.create_task(answer())
        replies = await asyncio.gather(
            *(alice.ask("bob", str(n), timeout=20) for n in range(50))
        )
        assert [reply.body for reply in replies] == [str(n) for n in range(50)]
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)

    run(test)


def test_a_question_can_be_taken_up_again(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        with pytest.raises(TimedOut) as raised:
            await alice.ask("bob", "?", timeout=0.1)
        ((question,), remaining) = await bob.fetch(timeout=5)
        assert remaining == 0
        await question.reply("!")
        assert (await alice.wait_reply(raised.value.id)).body == "!"

    run(test)


def test_the_loop_is_never_held_up(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counter = asyncio.create_task(count())
        assert await bob.receive(timeout=0.3) == []
        assert await bob.fetch(timeout=0.3) == ([], 0)
        counter.cancel()
        assert turns > 1000

    run(test)


def test_send_many_and_the_words_of_the_broker(
    broker: BrokerInfo, tmp_path: Path
) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        good, bad = await alice.send_many([Outgoing("bob", "1"), Outgoing("no", "2")])
        assert isinstance(good, Receipt)
        assert isinstance(bad, UnknownRecipient)
        assert await alice.join("news") == ["news"]
        assert [topic.pattern for topic in await bob.topics()] == ["news"]
        assert await alice.leave("news") == []
        assert [agent.name for agent in await alice.agents()] == ["alice", "bob"]
        assert (await bob.peek()).records[0].text == "1"
        assert (await alice.history()).records[0].text == "1"
        assert (await alice.search("nothing")).records == []
        assert (await alice.show(good.id)).state == "waiting"
        assert (await bob.dead()).letters == []
        assert await bob.replay() == await bob.drop() == 0
        assert (await alice.status())["network"] == "dev"
        assert (await alice.rename("al")).old == "alice"
        attachment = await alice.upload(b"bytes", "file")
        path = await alice.download(attachment, tmp_path / "file")
        assert path.read_bytes() == b"bytes"
        assert (alice.connected, alice.network, alice.agent) == (True, "dev", "al")
        assert alice.epoch == broker.epoch

    run(test)


@pytest.mark.chaos
def test_it_lives_through_a_takeover(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        os.kill(broker.pid, signal.SIGKILL)
        await alice.send("bob", "after")
        assert (await bob.receive(timeout=20))[0].body == "after"

    run(test)


def test_after_close_waits_end_and_words_raise(broker: BrokerInfo) -> None:
    async def test(alice: AsyncClient, bob: AsyncClient) -> None:
        reader = asyncio.create_task(bob.receive())
        await asyncio.sleep(0)
        await bob.close()
        with pytest.raises(Disconnected):
            await reader
        with pytest.raises(Disconnected):
            await bob.send("alice", "x")
        assert [message async for message in bob] == []

    run(test)


def test_connecting_can_fail_and_can_be_cancelled(network: Network) -> None:
    async def main() -> None:
        with pytest.raises(NoBroker):
            await ipcbus.connect_async("dev", agent="alice", start=False)
        task = asyncio.create_task(ipcbus.connect_async("dev", agent="alice"))
        # From then on it starts a broker.
        await asyncio.to_thread(until, (network.folder / "starter.lock").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with await ipcbus.connect_async("dev", agent="") as operator:
            with pytest.raises(NotPermitted):
                await operator.receive()

    asyncio.run(main())
    # One that was cancelled goes on to its end, and nobody waits for it but this test.
    until(lambda: "ipcbus-connect" not in {t.name for t in threading.enumerate()})


def test_both_clients_have_the_same_words() -> None:
    def words(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert words(ipcbus.Client) - words(AsyncClient) == {"start_call"}
    assert words(AsyncClient) - words(ipcbus.Client) == set()
