"""What the tests of bridges ask of mail, in a word each."""

from __future__ import annotations

from typing import Any

from ipcbus.protocol.pieces import unpack_meta
from tests.bridges.cluster import Cluster, texts
from tests.broker.harness import Delivered


def told(mail: list[Delivered]) -> list[tuple[str, str]]:
    """Kind, and status or event, of what a broker wrote."""
    found = []
    for one in mail:
        said: dict[str, Any] = unpack_meta(one.header.meta).data
        found.append((one.header.kind, said.get("status") or said["event"]))
    return found


def flow(town: Cluster, to: str, *bodies: str, sender: str = "alice@dev") -> None:
    for body in bodies:
        assert town.send(sender, to, body=body) == "accepted"


def drain(town: Cluster, address: str, rounds: int = 30) -> list[str]:
    """What comes in some time, read as it comes."""
    found: list[str] = []
    for _ in range(rounds):
        found += texts(town.read(address))
        town.advance(1.0)
    return found
