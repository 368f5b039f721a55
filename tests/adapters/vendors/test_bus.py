"""Each of them at a real broker: it asks another agent, and reads the answer."""

from __future__ import annotations

import asyncio
import json

import pytest

import ipcbus
from ipcbus.adapters.base import Answer, Said, ToolCall
from ipcbus.adapters.vendor import Vendor
from ipcbus.client.sync import Client
from ipcbus.doors.tools import Desk, call
from ipcbus.networks import BrokerInfo
from tests.adapters.vendors.model import COLOUR, QUESTION
from tests.adapters.vendors.platforms import Platform, turn, with_adapter

pytestmark = pytest.mark.filterwarnings(
    "ignore:FUNCTION_CALL is not a valid FinishReason"  # a slip of aimock's
)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "in pieces"])
def test_a_model_asks_another_agent_and_reads_the_answer(
    platform: Platform, model: str, broker: BrokerInfo, is_streamed: bool
) -> None:
    pieces: list[str] | None = [] if is_streamed else None
    with Desk(["dev"], "alice") as desk, ipcbus.connect("dev", agent="bob") as bob:

        async def use(adapter: Vendor) -> tuple[Answer, list[str]]:
            return await converse(adapter, desk, bob, pieces)

        answer, used = with_adapter(platform.adapter(model), use)
    assert used == ["send", "wait"]
    assert (answer.text, answer.stop) == (f"Bob: {COLOUR}.", "end")
    if pieces is not None:
        assert "".join(pieces).endswith(answer.text)


async def converse(
    adapter: Vendor, desk: Desk, bob: Client, pieces: list[str] | None
) -> tuple[Answer, list[str]]:
    """The loop of a runner, and bob, who answers as soon as he was asked."""
    said = [Said("user", "Find out about the door.")]
    used: list[str] = []
    while True:
        answer = await adapter.turn(turn(*said, pieces=pieces))
        if answer.stop != "tools":
            return answer, used
        said.append(Said("assistant", answer.text, answer.calls))
        for one in answer.calls:
            said.append(await carried_out(desk, one))
            used.append(one.name)
            if one.name == "send":
                await asyncio.to_thread(tell, bob)


async def carried_out(desk: Desk, one: ToolCall) -> Said:
    answer = await asyncio.to_thread(call, desk, one.name, one.arguments)
    assert "error" not in answer, answer
    return Said("tool", json.dumps(answer), call=one)


def tell(bob: Client) -> None:
    (asked,) = bob.receive(timeout=20.0)
    assert (asked.sender, asked.body) == ("alice", QUESTION)
    asked.reply(COLOUR)
    asked.ack()
