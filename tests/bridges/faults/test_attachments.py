"""Files over a bridge: one that many are sent comes over once, and all get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import ipcbus
from ipcbus import Client
from tests.bridges.town import DEV, PROD, Home, bridge

WAIT_S = 30.0
PEOPLE = [f"bob{number}" for number in range(24)]


@pytest.fixture
def prod(town: Home) -> Iterator[dict[str, Client]]:
    """The people of prod."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(ipcbus.connect(PROD, agent=name))
            for name in PEOPLE
        }


def _next(client: Client) -> ipcbus.Message:
    (message,) = client.receive(1, timeout=WAIT_S)
    message.ack().result(timeout=WAIT_S)
    return message


def test_a_file_for_many_people_of_the_other_network_comes_to_each_of_them(
    town: Home, tmp_path: Path, prod: dict[str, Client]
) -> None:
    content = b"0123456789abcdef" * 200_000
    with bridge(town, tmp_path) as running, ipcbus.connect(DEV, agent="alice") as alice:
        running.runs()
        file = alice.upload(content, "plan.txt")
        for name in PEOPLE:
            alice.send(f"{name}@{PROD}", "the plan", attach=(file,))
        came = {name: _next(client) for name, client in prod.items()}
        assert [came[name].body for name in PEOPLE] == ["the plan"] * len(PEOPLE)
        for name, client in prod.items():
            (attached,) = came[name].attachments
            path = client.download(attached, tmp_path / name)
            assert path.read_bytes() == content
        assert not alice.receive(1, timeout=0)  # nothing came back
