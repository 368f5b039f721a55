"""What an agent may spend: bounds that stop it, and go on at the right time."""

from __future__ import annotations

from pathlib import Path

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
from ipcbus.networks import Network

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
                account.stopped = over(account, Bounds(1, 1, 1), "t1", "p1", now)
                account.resume()
                assert over(account, Bounds(0, 0, 1), "t1", "p1", now) is None
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


def test_a_ledger_survives_and_counts_all_of_a_network(network: Network) -> None:
    Ledger(network, "Ann").change(lambda one: one.spend(Usage(5, 5), None, NOON))
    Ledger(network, "bob").change(lambda one: one.took_turn("t", "ann", NOON))

    assert Ledger(network, "ann").read().tokens == 10
    assert sorted(one.tokens for one in Ledger(network, "bob").everybody()) == [0, 10]


def test_a_ledger_is_readable_by_its_owner_only(network: Network) -> None:
    Ledger(network, "ann").change(lambda one: one.spend(None, None, NOON))

    files: list[Path] = [*(network.folder / "agents").iterdir()]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
