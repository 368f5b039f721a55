"""Small mail does not slip past large mail that its reader has no room for yet."""

from __future__ import annotations

from ipcbus.protocol.messages import Credit
from tests.broker.harness import Harness, draft

ALICE, BOB = b"alice", b"bob"


def ids(bus: Harness) -> list[str]:
    return [mail.header.id for mail in bus.fetch(BOB)]


def test_what_fits_the_credit_does_not_overtake_what_waits_for_it(
    bus: Harness,
) -> None:
    bus.join_up("alice", "bob")
    bus.say(BOB, Credit(bus.ref(), 9, 2_000, 60_000))
    bus.send(ALICE, draft("held", "bob"), body="x" * 1_000)
    bus.send(ALICE, draft("large", "bob"), body="x" * 1_500)
    bus.send(ALICE, draft("small", "bob"), body="x")
    assert ids(bus) == ["large", "small"]
