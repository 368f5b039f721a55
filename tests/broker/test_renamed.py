"""Agents that were renamed: what they sent before and what was sent to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.broker.settings import HOUR, Settings
from ipcbus.protocol.pieces import unpack_meta
from tests.broker.harness import OPERATOR, Harness, draft, key_of

ALICE, BOB, CAROL = b"alice", b"bob", b"carol"


@pytest.fixture(params=(7 * 24 * HOUR, 0), ids=("history", "no_history"))
def town(request: pytest.FixtureRequest) -> Iterator[Harness]:
    harness = Harness(Settings(history_ms=request.param))
    harness.join_up("alice", "bob")
    yield harness
    harness.broker.check_invariants()
    harness.close()


def later(bus: Harness, seconds: float) -> None:
    """Time in which all sessions end; then everybody is back."""
    bus.advance(seconds)
    bus.advance(2)
    for peer in (ALICE, BOB):
        bus.hello(peer)


def test_a_bounce_finds_its_sender_when_its_old_name_forwards_no_more(
    town: Harness,
) -> None:
    town.send(ALICE, draft("m1", "bob", ttl_ms=4 * HOUR))
    town.call(ALICE, "rename", None, "alicia")
    later(town, 5 * 3600)
    (bounce,) = [m for m in town.fetch(ALICE) if m.header.kind == "bounce"]
    assert (bounce.header.to, bounce.header.reply_to) == ("alicia", "m1")


def test_a_bounce_is_not_for_who_has_the_senders_old_name_now(town: Harness) -> None:
    town.send(ALICE, draft("m1", "bob", ttl_ms=4 * HOUR))
    town.call(ALICE, "rename", None, "alicia")
    later(town, 3 * 3600)
    town.hello(OPERATOR)
    town.call(OPERATOR, "register", "alice", key_of("carol"))
    later(town, 3600)
    town.hello(CAROL)
    assert [m for m in town.fetch(CAROL) if m.header.kind == "bounce"] == []
    (bounce,) = [m for m in town.fetch(ALICE) if m.header.kind == "bounce"]
    assert unpack_meta(bounce.header.meta).data["id"] == "m1"


@pytest.mark.parametrize("seconds", [1, 3 * 3600])
@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_what_is_sent_again_after_a_rename_was_accepted(
    town: Harness, seconds: int, read: bool, who: bytes
) -> None:
    message = draft("m1", "bob", meta=b"\x80")
    assert town.send(ALICE, message) == []
    if read:
        town.settle(BOB, acks=[one.receipt for one in town.fetch(BOB)])
    town.advance(1)
    town.call(who, "rename", None, "Newcomer")
    later(town, seconds)
    assert town.send(ALICE, message) == [[0, "accepted", {"again": True}]]


def test_other_words_under_an_id_clash_after_a_rename_too(town: Harness) -> None:
    town.send(ALICE, draft("m1", "bob"))
    town.settle(BOB, acks=[one.receipt for one in town.fetch(BOB)])
    town.call(ALICE, "rename", None, "alicia")
    assert town.send(ALICE, draft("m1", "bob"), body="other")[0][1] == "id_clash"


@pytest.mark.parametrize("renamed", [False, True])
def test_to_take_the_name_that_one_has_is_done_already(
    bus: Harness, renamed: bool
) -> None:
    bus.join_up("alice", "bob")
    if renamed:
        bus.call(ALICE, "rename", None, "Alice")
        bus.fetch(BOB)
    name = "Alice" if renamed else "alice"
    for _ in range(2):
        assert bus.call(ALICE, "rename", None, name) == [name, name, bus.wall]
    assert bus.call(OPERATOR, "rename", "alice", name) == [name, name, bus.wall]
    assert bus.fetch(BOB) == []
    if not renamed:  # and so this is the first one
        assert bus.call(ALICE, "rename", None, "alicia")[:2] == ["alice", "alicia"]


def test_a_link_keeps_the_name_of_its_network(bus: Harness) -> None:
    bus.join_up("alice")
    bus.call(OPERATOR, "link", "prod", key_of("bridge"), "out")
    assert bus.refused(OPERATOR, "rename", "@prod", "stage").code == "not_permitted"
    assert bus.refused(OPERATOR, "rename", "alice", "@stage").code == "invalid_address"
    assert bus.refused(ALICE, "rename", None, "@prod").code == "invalid_address"
