"""An agent on each of them, while its platform fails again and again."""

from __future__ import annotations

import pytest

import ipcbus
from ipcbus.adapters.base import Answer, Turn
from ipcbus.adapters.vendor import Vendor
from ipcbus.errors import KeyRefused
from tests.adapters.conftest import ask, received
from tests.adapters.models import serving
from tests.adapters.vendors.bodies import Speech, stream, whole
from tests.adapters.vendors.conftest import Broken
from tests.adapters.vendors.faults import Reply
from tests.adapters.vendors.platforms import Platform, with_adapter
from tests.waiting import until_async

LOOKS = Speech("", (("send", '{"to": "alice", "text": "I look."}'),), "", "tools")
SAYS = Speech("It is green.")


def says(platform: Platform, speech: Speech, *, is_streamed: bool = False) -> Reply:
    if is_streamed:
        return Reply("".join(stream(platform.name, speech)))
    return Reply(whole(platform.name, speech))


def trouble(platform: Platform, *, is_streamed: bool) -> list[Reply]:
    """Each fails three times at least, so that the mail is given back in between: once
    before the model said anything, and once after it sent a message of its own."""
    load = Reply({"error": {"message": "slow down"}}, 429, {"retry-after": "0"})
    broke = Reply({"error": {"message": "it broke"}}, 500)
    half = Reply("".join(stream(platform.name, SAYS)[:-1]))
    cut = (half if is_streamed else says(platform, SAYS))._replace(is_cut=True)
    looks = says(platform, LOOKS, is_streamed=is_streamed)
    return [load, broke, cut, Reply("<html>"), looks, half, cut, broke, load, looks]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "in pieces"])
def test_nothing_is_lost_and_nothing_is_answered_twice(
    platform: Platform,
    broken: Broken,
    alice: ipcbus.Client,
    monkeypatch: pytest.MonkeyPatch,
    is_streamed: bool,
) -> None:
    monkeypatch.setattr("ipcbus.adapters.progress.EVERY_S", 1000.0)
    rows = trouble(platform, is_streamed=is_streamed)
    server = broken(*rows, says(platform, SAYS, is_streamed=is_streamed))
    labels = ("progress",) if is_streamed else ()

    async def story(adapter: Vendor) -> None:
        async with serving(adapter):
            answer = await ask(alice, "How is the build?", labels=labels)
            assert (answer.sender, answer.body) == ("llama", "It is green.")
            [said] = await received(alice)
            assert (said.sender, said.body) == ("llama", "I look.")

    with_adapter(platform.adapter(server.url), story)
    assert len(server.requests) == len(rows) + 1
    assert alice.receive(10, 0.0) == []


def test_a_wrong_key_ends_the_agent_and_its_mail_is_kept(
    platform: Platform,
    broken: Broken,
    alice: ipcbus.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = broken(Reply({"error": "no such key"}, 401), says(platform, SAYS))

    async def refused(adapter: Vendor) -> None:
        ended, turn = [], adapter.turn

        async def told(given: Turn) -> Answer:
            try:
                return await turn(given)
            finally:
                ended.append(given)

        monkeypatch.setattr(adapter, "turn", told)
        async with serving(adapter):
            alice.send("llama", "How is the build?")
            await until_async(lambda: bool(ended))

    async def later(adapter: Vendor) -> None:
        async with serving(adapter):
            [answer] = await received(alice)
            assert answer.body == "It is green."

    with pytest.raises(KeyRefused, match=platform.key):
        with_adapter(platform.adapter(server.url), refused)
    with_adapter(platform.adapter(server.url), later)
