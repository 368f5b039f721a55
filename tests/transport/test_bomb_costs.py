"""What a bomb costs at its worst moment: the most memory that the broker has while it
is refused, not what is left afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus.protocol import limits
from ipcbus.protocol.codec import encode
from ipcbus.protocol.limits import KIB, MIB
from ipcbus.protocol.messages import Closed, Send
from tests.faults.crew import rss_bytes
from tests.transport.members import Members
from tests.transport.peers import draft
from tests.transport.test_hostile import bombs, serves

pytestmark = pytest.mark.security

MILLION = 1_000_000
AT_MOST = 24 * MIB
"""The dearest head that is decoded at all, an array of empty arrays, is 17 MiB of
objects and one frame; the bound of a head is what keeps it there."""


def dear() -> dict[str, tuple[bytes, bytes]]:
    """Head and body of each. The dearest first: what the allocator has from others
    would make it look cheap."""
    many = b"\xdd" + MILLION.to_bytes(4) + b"\x90" * MILLION
    block = b"\xdc" + limits.MAX_ARRAY.to_bytes(2) + b"\x90" * limits.MAX_ARRAY
    blocks = (limits.MAX_HEAD - 1) // len(block)
    meta = b"\xdc\x0b\xb8" + b"\x90" * 3000
    head, _ = encode(Send(1, [draft("m", "bob", meta=meta)], [b"x"]))
    return {
        "as-dear-as-may-be": (bytes([0x90 + blocks]) + block * blocks, b""),
        "a-million-arrays": (many, b""),
        "a-million-maps": (many.replace(b"\x90", b"\x80"), b""),
        "in-what-is-structured": (head, b"x"),
        **{name: (bomb, b"") for name, bomb in bombs().items()},
    }


@pytest.fixture
def highest(people: Members, missing_part: Callable[[str], None]) -> Callable[[], int]:
    """The most memory since it was last asked."""
    folder = Path(f"/proc/{people.broker.pid}")
    if not (folder / "clear_refs").exists():
        missing_part("a kernel that forgets a process's highest memory")

    def ask() -> int:
        told = (folder / "status").read_text().split("VmHWM:")[1].split()[0]
        (folder / "clear_refs").write_text("5")
        return int(told) * KIB

    return ask


def test_a_bomb_costs_little_even_while_it_is_looked_at(
    people: Members, highest: Callable[[], int], show: Callable[[str], None]
) -> None:
    pair = people.register("mallory")
    costs = {}
    for name, frames in dear().items():
        mallory = people.peer(pair)
        mallory.hello()
        highest()
        before = rss_bytes(people.broker.pid)
        mallory.frames(*frames)
        assert mallory.wait_for(Closed).code == "remote_protocol", name
        costs[name] = highest() - before
        mallory.close()
    serves(people)
    worst = max(costs, key=lambda name: costs[name])
    show(f"the dearest of {len(costs)}: {worst}, +{costs[worst] / MIB:.1f} MiB")
    assert costs[worst] < AT_MOST, costs
