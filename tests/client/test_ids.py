"""Ids of messages."""

from __future__ import annotations

from ipcbus.client.ids import Ids
from ipcbus.protocol.address import is_id


def test_ids_of_one_client_are_unique_and_sorted() -> None:
    ids = Ids()
    made = [ids() for _ in range(1000)]
    assert made == sorted(set(made))


def test_ids_are_short_and_valid() -> None:
    made = Ids()()
    assert len(made) == 26
    assert is_id(made)


def test_later_clients_sort_later_and_no_two_are_alike() -> None:
    first, second = Ids(wall_ms=1_000), Ids(wall_ms=2_000)
    assert first() < second()
    assert Ids(wall_ms=1)() != Ids(wall_ms=1)()


def test_chance_and_time_decide_alone() -> None:
    assert Ids(1_700_000_000_000, b"12345")() == "01hf7yat0064s36d1n00000000"
