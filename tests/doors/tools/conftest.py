"""Desks at a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ipcbus.doors.tools import Desk, call
from ipcbus.networks import BrokerInfo

Sit = Callable[..., Desk]


@pytest.fixture
def sit(broker: BrokerInfo) -> Iterator[Sit]:
    """Sit down as an agent, in dev unless other networks are named."""
    desks: list[Desk] = []

    def sit(agent: str | None = None, *networks: str, **options: Any) -> Desk:
        desks.append(Desk(networks or ("dev",), agent, **options))
        return desks[-1]

    yield sit
    for desk in desks:
        desk.close()


@pytest.fixture
def alice(sit: Sit) -> Desk:
    return registered(sit("alice"))


@pytest.fixture
def bob(sit: Sit) -> Desk:
    return registered(sit("bob"))


def registered(desk: Desk) -> Desk:
    assert "error" not in call(desk, "profile", {})
    return desk


def texts(answer: dict[str, Any]) -> list[str]:
    """What the messages of a page say."""
    return [message["text"] for message in answer["messages"]]


def sent(desk: Desk, to: str, text: str, **more: Any) -> str:
    """Send; the id."""
    answer = call(desk, "send", {"to": to, "text": text, **more})
    assert "error" not in answer, answer
    return str(answer["id"])
