"""Names that came to be by mail for them count as long as something waits there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcbus.broker.settings import HOUR, Settings
from ipcbus.protocol.messages import FLAG_FUTURE, Draft
from tests.broker.harness import OPERATOR, Harness, draft, key_of

ALICE, BOB = b"alice", b"bob"
MOST = 5


@pytest.fixture
def town() -> Iterator[Harness]:
    """There is room for three names besides alice and bob."""
    harness = Harness(Settings(max_agents=MOST, future_ms=HOUR))
    harness.join_up("alice", "bob")
    yield harness
    harness.broker.check_invariants()
    harness.close()


def future(name: str, **fields: object) -> Draft:
    return draft(f"to-{name}", name, flags=FLAG_FUTURE, **fields)


def names(bus: Harness) -> list[str]:
    bus.hello(OPERATOR)
    return [row[0] for row in bus.call(OPERATOR, "agents", 0)[0]]


def later(bus: Harness) -> None:
    bus.advance(3601)
    bus.hello(ALICE)


def outcome(bus: Harness, message: Draft) -> str:
    return str(bus.send(ALICE, message)[0][1])


def test_names_are_free_again_when_their_mail_has_expired(town: Harness) -> None:
    for round_ in range(4):
        for n in range(MOST - 2):
            assert outcome(town, future(f"new{round_}-{n}")) == "future"
        assert outcome(town, future("one-more")) == "bound_exceeded"
        later(town)
        assert len(names(town)) <= 3
        town.restart()
        later(town)
    bounces = [one for one in town.fetch(ALICE) if one.header.kind == "bounce"]
    assert len(bounces) == 4 * (MOST - 2)


def test_a_name_stays_while_something_waits_there(town: Harness) -> None:
    town.send(ALICE, future("early"), future("late"))
    town.send(ALICE, draft("short", "late", ttl_ms=1000, flags=FLAG_FUTURE))
    town.advance(2)
    town.hello(ALICE)
    assert names(town) == ["alice", "bob", "early", "late"]
    town.call(OPERATOR, "register", "early", key_of("early"))
    later(town)
    assert "early" in names(town)


def test_the_number_of_a_name_that_was_freed_is_never_given_again(
    town: Harness,
) -> None:
    """Or the next one would see what was sent to it."""
    town.send(ALICE, future("secret"))
    later(town)
    town.restart()
    town.turn()
    later(town)
    town.hello(OPERATOR)
    town.call(OPERATOR, "register", "carol", key_of("carol"))
    town.hello(b"carol")
    rows = town.call(b"carol", "history", 10, None, None, None, 100)[0]
    assert [row[3].id for row in rows if row[3].id == "to-secret"] == []
    assert names(town) == ["alice", "bob", "carol"]


def test_what_was_sent_to_a_freed_name_is_known_when_it_is_sent_again(
    town: Harness,
) -> None:
    town.send(ALICE, future("first"), future("second"))
    later(town)
    assert "first" not in names(town)
    (said,) = town.send(ALICE, future("first"))
    assert said == [0, "future", {"again": True}]
    town.send(ALICE, future("third"))
    assert names(town) == ["alice", "bob", "third"]


def test_a_name_for_which_mail_was_refused_is_free_at_once() -> None:
    bus = Harness(Settings(mailbox_bytes=1000))
    bus.join_up("alice")
    for name in ("never", "nor-this"):
        said = bus.send(ALICE, future(name), body="x" * 1001)
        assert said[0][2]["bound"] == f"mailbox_bytes of {name}"
    bus.send(ALICE, future("bob"))
    assert names(bus) == ["alice", "bob"]
    bus.close()


def test_an_invitation_keeps_its_name_until_it_is_over(town: Harness) -> None:
    town.call(OPERATOR, "invite", "guest", key_of("ticket"), 7_200_000)
    town.call(OPERATOR, "invite", "other", key_of("other ticket"), 60_000)
    later(town)
    assert "guest" in names(town)
    town.send(ALICE, future("x"))
    later(town)
    later(town)
    town.send(ALICE, future("y"))
    assert {"guest", "other"}.isdisjoint(names(town))


def test_a_link_is_no_such_name(town: Harness) -> None:
    town.call(OPERATOR, "link", "prod", key_of("bridge"), "out")
    town.restart()
    later(town)
    town.hello(OPERATOR)
    assert [link["peer"] for link in town.call(OPERATOR, "links")] == ["prod"]
