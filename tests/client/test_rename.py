"""A renamed agent is the same agent: its key goes along."""

from __future__ import annotations

import asyncio

import pytest

import ipcbus
from ipcbus.errors import NameTaken
from ipcbus.networks import BrokerInfo, Network


def test_it_connects_again_under_its_new_name(
    network: Network, broker: BrokerInfo
) -> None:
    with ipcbus.connect("dev", agent="alice") as alice:
        renamed = alice.rename("carol")
    assert (renamed.old, renamed.new) == ("alice", "carol")
    assert not network.key_path("alice").exists()
    with ipcbus.connect("dev", agent="carol") as carol:
        assert carol.agent == "carol"


def test_its_key_stays_when_the_name_is_refused(
    network: Network, broker: BrokerInfo
) -> None:
    with (
        ipcbus.connect("dev", agent="alice") as alice,
        ipcbus.connect("dev", agent="bob"),
        pytest.raises(NameTaken),
    ):
        alice.rename("bob")
    with ipcbus.connect("dev", agent="alice") as alice:
        assert alice.agent == "alice"


def test_the_async_client_does_the_same(network: Network, broker: BrokerInfo) -> None:
    async def rename() -> None:
        async with await ipcbus.connect_async("dev", agent="alice") as alice:
            await alice.rename("carol")

    asyncio.run(rename())
    assert network.key_path("carol").exists()
