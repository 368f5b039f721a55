"""The checker, told while it happens: each planted wrong history is reported as what
it is, and a right one is not.

What it makes of records that were collected elsewhere is in `tests/faults`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipcbus.testing import History
from ipcbus.testing.history import (
    ACKED_TWICE,
    DISORDERED,
    FAILED,
    LOST,
    MADE_UP,
    OK,
    STALE,
    STORED_TWICE,
    UNKNOWN,
    Got,
    Sent,
    broken_promises,
)


def right() -> History:
    """Two that were accepted, one that nobody answered, one that was refused."""
    history = History()
    for id_, outcome in (("m1", OK), ("m2", OK), ("m3", UNKNOWN), ("m4", FAILED)):
        history.sends("ann", "bob", id_)
        history.ends(id_, outcome)
    history.gets("bob", "ann", "m1", 1, 1)
    history.gets("bob", "ann", "m2", 2, 1)
    history.acks("bob", "m1", STALE)
    history.gets("bob", "ann", "m1", 1, 2)
    history.acks("bob", "m1", OK)
    return history


def never_came(history: History) -> None:
    history.sends("ann", "bob", "m5")
    history.ends("m5", OK)


def came_from_nowhere(history: History) -> None:
    history.gets("bob", "ann", "m9", 9, 1)


def came_though_refused(history: History) -> None:
    history.gets("bob", "ann", "m4", 4, 1)


def came_to_another(history: History) -> None:
    history.gets("eve", "ann", "m2", 2, 1)


def came_from_another(history: History) -> None:
    history.gets("bob", "eve", "m2", 2, 2)


def is_there_twice(history: History) -> None:
    history.gets("bob", "ann", "m2", 7, 1)


def came_after_its_ack(history: History) -> None:
    history.gets("bob", "ann", "m1", 1, 3)


def was_acked_again(history: History) -> None:
    history.acks("bob", "m1", OK)


def was_overtaken(history: History) -> None:
    for id_ in ("m6", "m7"):
        history.sends("ann", "bob", id_)
        history.ends(id_, OK)
    for n, id_ in ((7, "m7"), (6, "m6")):
        history.gets("bob", "ann", id_, n, 1)


WRONG: dict[Callable[[History], None], str] = {
    never_came: LOST,
    came_from_nowhere: MADE_UP,
    came_though_refused: MADE_UP,
    came_to_another: MADE_UP,
    came_from_another: MADE_UP,
    is_there_twice: STORED_TWICE,
    came_after_its_ack: ACKED_TWICE,
    was_acked_again: ACKED_TWICE,
    was_overtaken: DISORDERED,
}


def test_a_right_history_is_right() -> None:
    assert right().violations() == []


@pytest.mark.parametrize("plant", WRONG, ids=lambda plant: plant.__name__)
def test_a_wrong_one_is_reported_as_what_it_is(
    plant: Callable[[History], None],
) -> None:
    history = right()
    plant(history)
    [found] = history.violations()
    assert found.kind == WRONG[plant]


def test_what_nobody_answered_may_have_happened_or_not() -> None:
    history = right()
    history.gets("bob", "ann", "m3", 3, 1)
    assert history.violations() == []


def test_a_send_that_was_given_up_stays_unknown_whatever_is_told_later() -> None:
    history = right()
    for id_, outcome in (("m5", OK), ("m6", FAILED)):
        history.sends("ann", "bob", id_)
        history.gives_up(id_)
        history.ends(id_, outcome)
        assert history.sent[id_].outcome == UNKNOWN
    history.gets("bob", "ann", "m6", 6, 1)
    assert history.violations() == []


def test_what_was_answered_cannot_be_given_up_any_more() -> None:
    history = right()
    history.gives_up("m1")
    history.ends("m1", OK)
    assert history.sent["m1"].outcome == OK


def test_what_is_elsewhere_is_not_lost() -> None:
    history = right()
    never_came(history)
    assert history.violations(elsewhere=[("bob", "m5")]) == []
    assert len(history.violations(elsewhere=[("eve", "m5")])) == 1


def test_what_owes_nobody_an_order_is_not_overtaken() -> None:
    history = right()
    was_overtaken(history)
    assert history.violations(unordered=["m6"]) == []
    assert len(history.violations(unordered=["m1"])) == 1


def test_order_is_looked_for_where_brokers_gave_it_out_if_that_is_known() -> None:
    history = right()
    was_overtaken(history)
    for n in (1, 2, 6, 7):
        history.hands("bob", "ann", f"m{n}", n, 1)
    assert history.violations() == []


def test_disorder_among_what_brokers_gave_out_is_found() -> None:
    sent = [Sent("ann", "bob", id_, OK) for id_ in ("m1", "m2")]
    seen = [Got("bob", "ann", f"m{n}", n, 1) for n in (1, 2)]
    assert broken_promises(sent, seen, handed=seen) == []
    [found] = broken_promises(sent, seen, handed=seen[::-1])
    assert found == "bob first got m2, then m1 of ann"
    assert found.kind == DISORDERED
