"""The checker finds what is planted, and nothing in a history that is right."""

from __future__ import annotations

from tests.faults.history import (
    FAILED,
    OK,
    STALE,
    UNKNOWN,
    Acked,
    Got,
    Seen,
    Sent,
    longest_gap,
    violations,
)

SENT = [
    Sent("ann", "bob", "a1", OK),
    Sent("ann", "bob", "a2", OK),
    Sent("ann", "bob", "a3", UNKNOWN),
    Sent("ann", "bob", "a4", FAILED),
    Sent("cid", "bob", "c1", OK),
]
RIGHT: list[Seen] = [
    Got("bob", "ann", "a1", 1, 1),
    Got("bob", "cid", "c1", 3, 1),
    Got("bob", "ann", "a2", 2, 1),
    Got("bob", "ann", "a1", 1, 2),
    Acked("bob", "a1", OK),
    Acked("bob", "a2", STALE),
    Got("bob", "ann", "a2", 2, 2),
    Acked("bob", "a2", OK),
    Acked("bob", "c1", UNKNOWN),
]


def test_a_history_with_redeliveries_and_unknown_outcomes_is_right() -> None:
    assert violations(SENT, RIGHT) == []


def test_an_unknown_send_may_have_happened() -> None:
    assert violations(SENT, [*RIGHT, Got("bob", "ann", "a3", 4, 1)]) == []


def test_an_accepted_message_that_never_came_is_found() -> None:
    seen = [one for one in RIGHT if one.id != "c1"]
    assert violations(SENT, seen) == ["c1 was accepted for bob and never delivered"]


def test_one_that_came_to_somebody_else_is_found() -> None:
    found = violations(SENT, [*RIGHT, Got("eve", "ann", "a1", 1, 1)])
    assert found == ["a1 was sent to bob and delivered to eve"]


def test_one_that_nobody_sent_is_found() -> None:
    found = violations(SENT, [*RIGHT, Got("bob", "ann", "x", 9, 1)])
    assert found == ["x was delivered to bob and never sent"]


def test_one_that_was_refused_and_came_is_found() -> None:
    found = violations(SENT, [*RIGHT, Got("bob", "ann", "a4", 9, 1)])
    assert found == ["a4 was refused and delivered to bob"]


def test_one_that_is_stored_twice_is_found() -> None:
    found = violations(SENT, [Got("bob", "cid", "c1", 8, 1), *RIGHT])
    assert found == ["c1 is stored twice for bob: 8, 3"]


def test_a_second_ack_is_found() -> None:
    found = violations(SENT, [*RIGHT, Acked("bob", "a1", OK)])
    assert found == ["a1 was acked twice by bob"]


def test_a_delivery_after_the_ack_is_found() -> None:
    found = violations(SENT, [*RIGHT, Got("bob", "ann", "a1", 1, 3)])
    assert found == ["a1 was delivered to bob after its ack"]


def test_two_that_changed_places_are_found() -> None:
    seen: list[Seen] = [
        Got("bob", "ann", "a2", 2, 1),
        Got("bob", "ann", "a1", 1, 1),
        Got("bob", "cid", "c1", 3, 1),
    ]
    assert violations(SENT, seen) == ["bob first got a2, then a1 of ann"]


def test_the_longest_gap_is_between_neighbours() -> None:
    assert longest_gap([5.0, 1.0, 2.0]) == 3.0
    assert longest_gap([1.0]) == 0.0
