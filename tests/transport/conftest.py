"""Fixtures of the transport's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.networks import BrokerInfo, Network
from tests.transport.members import Members, members


@pytest.fixture
def people(network: Network, broker: BrokerInfo) -> Iterator[Members]:
    """Members of a real broker process; its log is shown when the test fails."""
    with members(network, broker) as made:
        yield made
