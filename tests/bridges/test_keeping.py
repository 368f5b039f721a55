"""A link that breaks says so, and begins anew, ever more slowly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ipcbus import links
from ipcbus.errors import IpcbusError
from ipcbus_bridges.keeping import KeptLink
from ipcbus_bridges.linkrunner import LinkRunner
from ipcbus_bridges.rules import Rules, Terms
from tests.bridges.shelf import WAIT_S, Shelf, mail
from tests.waiting import until

RULES = Rules.default("shelf", "dev")


class Dev:
    """An end that takes all. `fault` is called with what is asked of it."""

    network, network_id = "dev", "00" * 8

    def __init__(self, fault: Callable[[str], None]) -> None:
        self.fault = fault
        self.taken: list[str] = []
        self.reports: list[dict[str, Any]] = []
        self.closed = threading.Event()
        self._tell: Callable[[links.End], None] = lambda event: None

    def open(self, tell: Callable[[links.End], None]) -> None:
        self._tell = tell
        tell(links.Up(None))  # type: ignore[arg-type]

    def close(self) -> None:
        self.closed.set()
        self.fault("close")

    def meet(self, network_id: str, done: Any) -> None:
        self.fault("meet")
        done([1 << 40], None)

    def report(self, said: dict[str, Any], done: Any) -> None:
        self.reports.append(said)

    def hand_over(self, ref: int, epoch: int, moves: list[Any], bodies: Any) -> None:
        self.fault("hand_over")
        self.taken += [move.id for move in moves]
        self._tell(links.Verdicts(ref, []))

    def ask(self, name: str, *args: Any, body: bytes = b"") -> Any:
        self.fault("ask")
        return [0], b""


class Town:
    """A link from the shelf to dev, with an end of dev for each life of it."""

    def __init__(self, wait_s: float = 0.01) -> None:
        self.faults: list[str] = []
        self.devs: list[Dev] = []
        self.shelves: list[Shelf] = []
        self.said: list[str] = []
        self.waits = [mail()]
        self.link = KeptLink("shelf", "dev", self._make, self.said.append, wait_s)

    def _make(self) -> LinkRunner:
        dev, shelf = Dev(self._fault), Shelf()
        shelf.waits = self.waits
        self.devs.append(dev)
        self.shelves.append(shelf)
        rules = RULES.link("shelf", "dev")
        said, none = self.said.append, lambda: None
        return LinkRunner(shelf, dev, rules, Terms(), said, none, {})  # type: ignore[arg-type]

    def _fault(self, what: str) -> None:
        if what in self.faults:
            self.faults.remove(what)
            raise KeyError(f"no {what}")

    def taken(self) -> list[str]:
        return [id_ for dev in self.devs for id_ in dev.taken]


@contextmanager
def runs(town: Town) -> Iterator[None]:
    town.link.start()
    try:
        yield
    finally:
        town.link.stop()
        town.link.join(WAIT_S)
        assert all(dev.closed.is_set() for dev in town.devs)


@pytest.mark.parametrize("what", ["hand_over", "meet"])
def test_a_link_that_breaks_begins_anew_and_carries(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    town = Town()
    town.faults = [what] * 2
    with runs(town):
        until(lambda: town.taken() == ["n1"], "it is carried", WAIT_S)
    assert len(town.devs) == 3
    broke = [line for line in town.said if "broke" in line]
    assert len(broke) == 2
    assert broke[0].startswith(f"shelf -> dev: broke: KeyError('no {what}') (test_keep")
    assert broke[1].endswith("begins anew in 0.02 s")
    assert f"KeyError: 'no {what}'" in capsys.readouterr().err


def test_its_last_words_say_why_and_so_do_the_reports_of_the_next() -> None:
    town = Town()
    town.faults = ["hand_over"]
    with runs(town):
        until(lambda: town.taken() == ["n1"], "it is carried", WAIT_S)
    first, second = town.devs
    last = first.reports[-1]
    assert (last["state"], last["broken"]) == ("backoff", True)
    assert "it broke, and begins anew: KeyError('no hand_over')" in last["reason"]
    broke = second.reports[0]["broke"]
    assert (broke["times"], broke["error"][:8]) == (1, "KeyError")


def test_an_end_that_cannot_even_close_stops_nothing() -> None:
    town = Town()
    town.faults = ["hand_over", "close"]
    with runs(town):
        until(lambda: town.taken() == ["n1"], "it is carried", WAIT_S)


def test_one_that_breaks_while_it_brings_an_attachment_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deliver(shelf: Shelf, *args: Any) -> None:
        """Foreign networks have no attachments; this one lets on that it has."""
        attachments = [["0" * 64, 4, "a.txt", None]] if not town.taken() else None
        told = shelf._tell

        def tell(event: links.End) -> None:
            if isinstance(event, links.Delivered) and len(town.devs) == 1:
                (header,) = event.deliver.headers
                header = header._replace(attachments=attachments)
                event = links.Delivered(event.deliver._replace(headers=[header]))
            told(event)

        shelf._tell = tell
        usual(shelf)
        shelf._tell = told

    usual = Shelf._deliver
    monkeypatch.setattr(Shelf, "_deliver", deliver)
    town = Town()
    town.faults = ["ask"]
    with runs(town):
        until(lambda: town.taken() == ["n1"], "it is carried", WAIT_S)
    assert len(town.devs) == 2


def test_it_can_be_stopped_while_it_waits() -> None:
    town = Town(wait_s=3600.0)
    town.faults = ["hand_over"]
    with runs(town):
        until(lambda: any("broke" in line for line in town.said), "it broke", WAIT_S)


def test_a_problem_of_the_rules_is_known_to_the_next_life_too() -> None:
    town = Town()
    town.faults = ["meet"] * 2
    town.link.config_error("line 3")
    with runs(town):
        until(lambda: len(town.devs) == 3, "it began anew", WAIT_S)
        until(lambda: bool(town.devs[-1].reports), "it reports", WAIT_S)
        until(lambda: _problem(town) == "line 3", "the problem is told", WAIT_S)


def _problem(town: Town) -> str:
    return str(town.devs[-1].reports[-1]["problem"])


def test_what_cannot_be_at_all_is_told_at_once() -> None:
    def make() -> LinkRunner:
        raise IpcbusError(reason="no such thing")

    with pytest.raises(IpcbusError):
        KeptLink("shelf", "dev", make, print)
