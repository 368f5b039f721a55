"""Fixtures of the clients: real brokers, and clients that are closed in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ipcbus
from ipcbus.networks import BrokerInfo
from tests.client.bus import Bus

Connect = Callable[..., ipcbus.Client]


@pytest.fixture
def connect(broker: BrokerInfo) -> Iterator[Connect]:
    """Connects to the broker of the test, as the agent that is named."""
    clients: list[ipcbus.Client] = []

    def make(agent: str, **options: Any) -> ipcbus.Client:
        client = ipcbus.connect("dev", agent=agent, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def alice(connect: Connect) -> ipcbus.Client:
    return connect("alice")


@pytest.fixture
def bob(connect: Connect) -> ipcbus.Client:
    return connect("bob")


@pytest.fixture
def bus() -> Bus:
    return Bus()
