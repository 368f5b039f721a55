"""What an agent may spend: bounds that stop it, and go on at the right time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.adapters.base import Usage
from ipcbus.adapters.budget import (
    DAY_S,
    HOUR_S,
    MOST_THREADS,
    UNBOUNDED,
    Account,
    Bounds,
    Price,
    Stopped,
    from_object,
    over,
    over_day,
    price_of,
    to_object,
)
from ipcbus.adapters.ledger import Ledger
from ipcbus.errors import StaleFile
from ipcbus.networks import Network
from ipcbus.networks.files import write_object

NOON = 1_700_000_000 // DAY_S * DAY_S + DAY_S / 2


def test_a_conversation_ends_after_so_many_turns_until_a_person_says() -> None:
    account, bounds = Account(), Bounds(turns_per_thread=2)
    for _ in range(2):
        assert over(account, bounds, "t", "bob", NOON) is None
        account.took_turn("t", "bob", NOON)

    account.stopped = over(account, bounds, "t", "bob", NOON)

    assert account.stopped == Stopped(
        "turns_per_thread", "2 turns in conversation t", 0
    )
    assert over(account, bounds, "another", "bob", NOON) is None
    account.resume()
    assert over(account, bounds, "t", "bob", NOON) is None


def test_one_other_agent_is_answered_so_often_within_an_hour() -> None:
    account, bounds = Account(), Bounds(replies_per_hour=2)
    for minute in (0, 30):
        account.took_turn(f"t{minute}", "bob", NOON + 60 * minute)

    stopped = over(account, bounds, "t", "bob", NOON + 60 * 40)

    assert stopped is not None
    assert (stopped.bound, stopped.until) == ("replies_per_hour", NOON + HOUR_S)
    assert over(account, bounds, "t", "carl", NOON + 60 * 40) is None
    assert over(account, bounds, "t", "bob", NOON + HOUR_S + 1) is None


def test_a_day_has_so_many_tokens_and_the_next_day_as_many() -> None:
    account, bounds = Account(), Bounds(tokens_per_day=1000)
    account.spend(Usage(600, 400), None, NOON)

    stopped = over(account, bounds, "t", "bob", NOON)

    assert stopped is not None
    assert stopped.bound == "tokens_per_day"
    assert stopped.until == NOON + DAY_S / 2
    assert over(account, bounds, "t", "bob", stopped.until) is None


def test_money_is_counted_where_the_price_is_known_and_never_guessed() -> None:
    account = Account()
    account.spend(Usage(1_000_000, 100_000), Price(3, 15), NOON)
    account.spend(Usage(1_000_000, 100_000), None, NOON)
    account.spend(None, Price(3, 15), NOON)

    assert account.money == pytest.approx(4.5)
    assert account.unpriced == 2
    assert over_day([account], UNBOUNDED._replace(money_per_day=4.5), NOON) is not None
    assert over_day([account], UNBOUNDED._replace(money_per_day=4.6), NOON) is None


def test_what_a_person_lets_pass_is_counted_anew_and_still_shown_as_spent() -> None:
    account, bounds = Account(), Bounds(tokens_per_day=1000)
    account.spend(Usage(600, 400), Price(3, 15), NOON)
    money = account.money
    account.stopped = over(account, bounds, "t", "bob", NOON)

    account.resume()

    assert (account.tokens, account.money) == (1000, money)
    assert over(account, bounds, "t", "bob", NOON) is None
    account.spend(Usage(600, 400), None, NOON)
    assert over(account, bounds, "t", "bob", NOON) is not None
    account.spend(Usage(1, 1), None, NOON + DAY_S)
    assert (account.tokens, account.excused_tokens) == (2, 0)


def test_agents_of_a_network_are_bounded_together() -> None:
    accounts = [Account(), Account()]
    for account in accounts:
        account.spend(Usage(300, 200), None, NOON)

    assert over_day(accounts, Bounds(tokens_per_day=1000), NOON) is not None
    assert over_day(accounts[:1], Bounds(tokens_per_day=1000), NOON) is None
    assert over_day(accounts, UNBOUNDED, NOON) is None
    assert over_day(accounts, Bounds(tokens_per_day=1), NOON + DAY_S) is None


def test_a_price_is_found_by_the_models_name() -> None:
    prices = {"gpt-4o-mini*": Price(1, 2), "gpt-4o*": Price(3, 4)}

    assert price_of("gpt-4o-mini-2024", prices) == Price(1, 2)
    assert price_of("gpt-4o", prices) == Price(3, 4)
    assert price_of("llama3.2", prices) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["spend", "answered", "resume", "page"]),
            st.integers(0, 20),
            st.floats(0, 3 * DAY_S),
        ),
        max_size=60,
    )
)
def test_an_account_is_sound_whatever_is_booked(
    steps: list[tuple[str, int, float]],
) -> None:
    account, now = Account(), NOON
    for what, number, later in steps:
        now += later
        match what:
            case "spend":
                account.spend(Usage(number, number), Price(1, 1), now)
            case "answered":
                account.took_turn(f"t{number}", f"p{number % 3}", now)
            case "resume":
                stopped = over(account, Bounds(1, 1, 1), "t1", "p1", now)
                account.stopped = stopped
                account.resume()
                again = over(account, Bounds(1, 1, 1), "t1", "p1", now)
                assert not (stopped and again and stopped.bound == again.bound)
            case _:
                account.turn_page(now)
        account.check_invariants()
        assert from_object(to_object(account)) == account


def test_of_many_conversations_those_that_are_idle_longest_are_forgotten() -> None:
    account = Account()
    for number in range(MOST_THREADS + 5):
        account.took_turn(f"t{number}", "bob", NOON)
        account.took_turn("busy", "bob", NOON)

    account.check_invariants()
    assert "t0" not in account.threads
    assert account.threads["busy"] == MOST_THREADS + 5


def test_an_account_fits_into_its_file_however_busy_the_agent_is(
    network: Network,
) -> None:
    def busy(account: Account) -> None:
        for number in range(3000):
            peer = f"{number:032}@{'n' * 32}"
            account.took_turn(f"{number:064}@{'n' * 32}", peer, NOON)
            account.took_turn("t", "bob", NOON)

    ledger = Ledger(network, "ann")
    ledger.change(busy)

    account = ledger.read()
    account.check_invariants()
    assert account.answered["bob"].times == 3000


def test_an_hour_that_lies_ahead_is_none_for_the_clock_went_back() -> None:
    account, bounds = Account(), Bounds(replies_per_hour=1)
    account.took_turn("t", "bob", NOON + DAY_S)

    assert over(account, bounds, "t2", "bob", NOON) is None


@pytest.mark.parametrize(
    "damaged",
    [
        {"tokens": []},
        {"tokens": "many"},
        {"money": None},
        {"threads": []},
        {"threads": {"t": None}},
        {"answered": {"bob": [1, 2, 3]}},
        {"stopped": "yes"},
        {"stopped": {"bound": "x"}},
    ],
)
def test_a_ledger_that_is_damaged_is_told_and_not_begun_anew(
    network: Network, damaged: dict[str, Any]
) -> None:
    ledger = Ledger(network, "ann")
    ledger.change(lambda one: one.spend(None, None, NOON))
    write_object(network.folder / "agents" / "ann.json", damaged)

    with pytest.raises(StaleFile, match="what an agent has spent; move it away"):
        ledger.read()


def test_a_ledger_of_a_later_ipcbus_can_be_read(network: Network) -> None:
    Ledger(network, "ann").change(lambda one: one.spend(None, None, NOON))
    stopped = {"bound": "b", "reason": "r", "until": 5, "by": "me"}
    later = {"tokens": 7, "stopped": stopped, "poems": 3}
    write_object(network.folder / "agents" / "ann.json", later)

    account = Ledger(network, "ann").read()

    assert (account.tokens, account.stopped) == (7, Stopped("b", "r", 5))


def test_a_ledger_survives_and_counts_all_of_a_network(network: Network) -> None:
    Ledger(network, "Ann").change(lambda one: one.spend(Usage(5, 5), None, NOON))
    Ledger(network, "bob").change(lambda one: one.took_turn("t", "ann", NOON))

    assert Ledger(network, "ann").read().tokens == 10
    assert sorted(one.tokens for one in Ledger(network, "bob").everybody()) == [0, 10]


def test_a_ledger_is_readable_by_its_owner_only(network: Network) -> None:
    Ledger(network, "ann").change(lambda one: one.spend(None, None, NOON))

    files: list[Path] = [*(network.folder / "agents").iterdir()]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
