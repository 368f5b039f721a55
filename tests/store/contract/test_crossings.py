"""Links, pins, reply grants and the audit trail; the ids of other networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipcbus.store.base import FOREIGN_ID_MS, ID_MS, Store
from ipcbus.store.records import Audit, Key, LinkRow, ReplyGrant
from tests.store.making import (
    BOB,
    CAROL,
    entry,
    fill,
    key,
    maintain,
    row,
    turn,
    waiting,
)

LINK = LinkRow(BOB, "aa", 3, 2, 1, 4, '{"hold_ms":5}', "{}")
GRANT = ReplyGrant("m1@dev", "2", "alice@dev", BOB, 3, 10_000)


def audit(first: int, last: int, **fields: object) -> Audit:
    plain = Audit(0, 7, BOB, "in", first, last, "", "", "", "r", "accepted", "", "")
    return plain._replace(**fields)  # type: ignore[arg-type]


def test_links_and_pins_survive_a_restart(
    unopened: Callable[[], Store], store: Store
) -> None:
    with turn(store):
        store.crossings.put_link(LINK)
        store.crossings.put_pin("prod", "aa")
        store.crossings.put_pin("old", "bb")
        store.crossings.put_pin("old", "")
    store.close()
    again = unopened()
    found = again.open()
    again.close()
    assert found.links == [LINK]
    assert found.pins == {"prod": "aa"}


def test_a_network_keeps_its_id(unopened: Callable[[], Store], store: Store) -> None:
    store.close()
    again = unopened()
    first = again.open().network_id
    again.close()
    third = unopened()
    assert third.open().network_id == first
    assert len(first) == 16
    third.close()


def test_a_link_that_is_put_again_is_replaced(store: Store) -> None:
    with turn(store):
        store.crossings.put_link(LINK)
        store.crossings.put_link(LINK._replace(epoch=9))
    with pytest.raises(AssertionError):
        store.crossings.put_link(LINK)  # outside of a turn nothing is written


def test_a_grant_is_found_by_message_and_replier(store: Store) -> None:
    with turn(store):
        store.crossings.put_grants([GRANT, GRANT._replace(replier="3", left=1)])
        store.crossings.put_grants([GRANT._replace(left=2)])
    assert store.crossings.grant("m1@dev", "2") == GRANT._replace(left=2)
    assert store.crossings.grant("m1@dev", "3") == GRANT._replace(replier="3", left=1)
    assert store.crossings.grant("m1@dev", "4") is None
    assert store.crossings.grant("m2@dev", "2") is None


def test_a_grant_goes_when_its_time_is_over(store: Store) -> None:
    later = GRANT._replace(reply_to="m2@dev", until=20_000)
    with turn(store):
        store.crossings.put_grants([GRANT, later])
    maintain(store, 9_999, 0)
    assert store.crossings.grant("m1@dev", "2") == GRANT
    maintain(store, 10_000, 0)
    assert store.crossings.grant("m1@dev", "2") is None
    assert store.crossings.grant("m2@dev", "2") == later


def test_what_is_delayed_is_counted_and_woken_together(store: Store) -> None:
    fill(store, [1, 2, 3])
    with turn(store):
        store.mail.set_due([(5_000, *key(1)), (6_000, *key(3))])
    assert waiting(store) == [2]
    assert store.crossings.delayed(BOB) == 2
    assert store.crossings.delayed(CAROL) == 0
    with turn(store):
        store.crossings.wake(CAROL)
    assert store.crossings.delayed(BOB) == 2
    with turn(store):
        store.crossings.wake(BOB)
    assert store.crossings.delayed(BOB) == 0
    assert waiting(store) == [1, 2, 3]


def test_what_waits_for_long_is_found_by_age_in_the_order_of_arrival(
    store: Store,
) -> None:
    with turn(store):
        rows = [row(seq) for seq in (1, 2, 3, 4)]
        entries = [entry(1), entry(2, rank=0), entry(3), entry(4)]
        store.mail.add(rows, entries)
        store.mail.set_due([(99_000, *key(3))])
    late = store.crossings.late
    assert [w.entry.seq for w in late(BOB, 3_000, 0, 10)] == [1, 2, 3]
    assert [w.entry.seq for w in late(BOB, 3_000, 1, 10)] == [2, 3]
    assert [w.entry.seq for w in late(BOB, 9_000, 0, 2)] == [1, 2]
    assert late(CAROL, 9_000, 0, 10) == []


def test_the_trail_is_read_in_order_from_any_place(store: Store) -> None:
    with turn(store):
        store.crossings.record([audit(1, 3), audit(4, 4)])
        store.crossings.record([audit(0, 0, id="x@dev", verdict="refused")])
    found = store.crossings.audit(0, 10)
    assert [(one.n, one.first) for one in found] == [(1, 1), (2, 4), (3, 0)]
    assert store.crossings.audit(1, 1) == found[1:2]
    assert store.crossings.audit(3, 10) == []


def test_the_trail_is_searched_by_run_and_by_id(store: Store) -> None:
    refused = audit(0, 0, id="x@dev", verdict="refused")
    with turn(store):
        store.crossings.record([audit(1, 3), audit(4, 9), refused, audit(2, 2)])
    traced = store.crossings.traced
    assert [one.n for one in traced("none", 2)] == [1, 4]
    assert [one.n for one in traced("x@dev", 0)] == [3]
    assert [one.n for one in traced("", 7)] == [2]
    assert traced("", 0) == []


def test_the_trail_goes_when_all_it_tells_of_is_forgotten(store: Store) -> None:
    with turn(store):
        store.crossings.record([audit(1, 1), audit(2, 2, at=5_000)])
    maintain(store, 6 + FOREIGN_ID_MS, 0)
    assert len(store.crossings.audit(0, 10)) == 2
    maintain(store, 7 + FOREIGN_ID_MS, 0)
    assert [one.first for one in store.crossings.audit(0, 10)] == [2]


def test_ids_of_other_networks_are_known_for_longer_than_their_source_holds_mail(
    store: Store,
) -> None:
    with turn(store):
        store.mail.add([row(1), row(2, id_="m1@dev")], [entry(1), entry(2)])
        store.mail.remove([Key(*key(1)), Key(*key(2))], keep=False)
    maintain(store, 2_000 + ID_MS, 0)
    assert store.mail.find("id-000001") is None
    assert store.mail.find("m1@dev") is not None
    maintain(store, 1_999 + FOREIGN_ID_MS, 0)
    assert store.mail.find("m1@dev") is not None
    maintain(store, 2_000 + FOREIGN_ID_MS, 0)
    assert store.mail.find("m1@dev") is None
