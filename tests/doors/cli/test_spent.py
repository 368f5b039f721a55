"""`spent`: what agents have used, and what of its price is not known."""

from __future__ import annotations

import time

import pytest

from ipcbus.adapters.base import Usage
from ipcbus.adapters.budget import Account, Price, Stopped
from ipcbus.adapters.ledger import Ledger
from ipcbus.networks import Network
from tests.doors.cli.conftest import Call, Run


@pytest.fixture
def book(network: Network) -> Ledger:
    """The account of an agent that has had one request of a known price."""
    ledger = Ledger(network, "Claude")
    price = Price(1, 2)
    usage = Usage(1_000_000, 250_000)
    ledger.change(lambda account: account.spend(usage, price, time.time()))
    return ledger


def lines(run: Run) -> list[list[str]]:
    done = run("spent", "--network", "dev")
    assert done.code == 0, done
    return [line.split(maxsplit=2) for line in done.out.splitlines()[1:]]


def test_what_was_used_today_is_shown_with_its_price(run: Run, book: Ledger) -> None:
    assert lines(run) == [["claude", "1,250,000", "1.50"]]


def test_what_has_no_price_is_unknown_and_not_guessed(
    run: Run, book: Ledger, network: Network
) -> None:
    def spend(account: Account) -> None:
        account.spend(Usage(5, 5), None, time.time())

    book.change(spend)
    Ledger(network, "gpt").change(spend)
    assert lines(run) == [
        ["claude", "1,250,010", "1.50 and unknown"],
        ["gpt", "10", "unknown"],
    ]


def test_what_was_used_yesterday_is_not(call: Call, book: Ledger) -> None:
    book.change(lambda account: setattr(account, "day", "2001-01-01"))
    found = call("spent")
    assert found["network"] == "dev"
    assert found["agents"] == [
        {"name": "claude", "tokens": 0, "money": 0.0, "unpriced": 0, "stopped": None}
    ]


@pytest.mark.parametrize(
    ("until", "says"),
    [(0.0, "until: ipcbus resume claude (40 answers)"), (86_340.0, "until 23:59 UTC")],
)
def test_one_that_is_stopped_is_shown_with_the_reason(
    run: Run, book: Ledger, until: float, says: str
) -> None:
    stopped = Stopped("turns_per_thread", "40 answers", until)
    book.change(lambda account: setattr(account, "stopped", stopped))
    [[*_, rest]] = lines(run)
    assert says in rest


def test_without_any_there_is_an_empty_list(call: Call, network: Network) -> None:
    assert call("spent")["agents"] == []
