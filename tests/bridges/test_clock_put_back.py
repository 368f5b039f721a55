"""A clock that is put back by an hour stops nothing for an hour."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus import links
from ipcbus_bridges import foreign
from ipcbus_bridges.actions import Lead, Report
from ipcbus_bridges.link import Link
from ipcbus_bridges.moving import Moving
from ipcbus_bridges.presence import Presence
from ipcbus_bridges.rules import Rules, Terms, parse_short
from tests.bridges.shelf import LOTS, Shelf, mail, opened, settle

NOW = 10**12
BACK = NOW - 3_600_000


def _standby() -> Link:
    """The second bridge of a link."""
    rules = Rules.default("dev", "prod").link("dev", "prod")
    link = Link(rules, Terms(), Moving())
    link.up("dev", NOW)
    link.up("prod", NOW)
    link.met(1 << 40, NOW)
    link.led(False, 0, False, NOW)
    link.tick(NOW)
    assert link.state == "standby"
    link.actions.clear()
    return link


def test_a_link_reports_and_asks_for_the_lead_at_once() -> None:
    link = _standby()
    link.tick(BACK)
    assert {type(done) for done in link.actions} == {Report, Lead}
    assert BACK < link.wake_at() <= BACK + 1000


def test_a_clock_that_goes_on_changes_nothing() -> None:
    link = _standby()
    link.tick(NOW + 999)
    assert link.actions == []
    link.tick(NOW + 1000)
    assert len(link.actions) == 2


def test_who_is_there_is_told_again() -> None:
    asked: list[int] = []

    class End:
        def present(self, offset: int, done: Any) -> None:
            asked.append(offset)

    allow = parse_short("* -> * expose", allow=True, id="r", a="dev", b="prod")
    rules = Rules("dev", "prod", allow).link("dev", "prod")
    end: Any = End()
    presence = Presence(end, end, rules, lambda *args: None)
    presence.tell(NOW, "running")
    presence.tell(NOW + 1000, "running")
    assert len(asked) == 1
    presence.tell(BACK, "running")
    presence.tell(BACK + 1000, "running")
    assert len(asked) == 2


def test_a_foreign_end_gives_a_higher_epoch_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    epochs: list[int] = []
    for end in (Shelf(), Shelf()):
        end.lead({}, lambda value, error: epochs.append(value[1]))
        end.lead({}, lambda value, error: epochs.append(value[1]))
        monkeypatch.setattr(foreign, "_now", lambda: BACK)
    assert epochs == sorted(set(epochs))


def test_what_a_foreign_end_put_off_comes_when_its_time_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    shelf.waits = [mail()]
    with opened(shelf) as ear:
        shelf.credit(*LOTS)
        ear.next(links.Delivered)
        settle(shelf, "deferred", 1, delay_ms=200)
        ear.next(links.Taken)
        monkeypatch.setattr(foreign, "_now", lambda: BACK)
        assert ear.next(links.Delivered).deliver.headers[0].id == "n1"
