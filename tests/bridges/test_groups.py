"""What a bridge settles at once: alike together, nothing left out, and no more than a
frame may hold."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.protocol.codec import encode
from ipcbus.protocol.limits import MAX_HEAD
from ipcbus.protocol.messages import ACCEPTED, DEFERRED, REFUSED, Return
from ipcbus.protocol.pieces import unroll
from ipcbus_bridges.groups import HEAD_BYTES, MOST_GROUPS, Groups

EACH = 480
"""Bytes of a group with one run, if its rule has `LETTERS`: 32 for itself, 7 for each
number. So many make a settlement full to the last byte, long before `MOST_GROUPS`."""

LETTERS = EACH - 32 - 3 * 7
FULL = HEAD_BYTES // EACH


def _counts(groups: Groups) -> list[int]:
    return [len(part) for part in groups.parts()]


def _wide(count: int, longer: int = -1, where: str = "") -> Groups:
    """Groups that differ in their rule; one of them has a letter more."""
    groups = Groups()
    for seq in range(count):
        texts = {"rule": f"{seq:0{LETTERS}}", "status": "", "reason": ""}
        if seq == longer:
            texts[where] += "x"
        groups.add(ACCEPTED, **texts, delay_ms=0, seq=seq, attempt=1)
    return groups


def test_nothing_is_no_settlement() -> None:
    assert _counts(Groups()) == []


def test_what_ended_alike_is_one_group_in_the_order_of_its_seqs() -> None:
    groups = Groups()
    for seq, attempt in [(9, 1), (3, 1), (1, 1), (2, 1), (4, 2), (5, 2)]:
        groups.add(ACCEPTED, "r0", "", "", 0, seq, attempt)
    groups.add(DEFERRED, "r0", "4.2.2", "full", 500, 6, 1)
    assert list(groups.parts()) == [
        [
            [ACCEPTED, "r0", "", "", 0, [1, 3, 1, 4, 2, 2, 9, 1, 1]],
            [DEFERRED, "r0", "4.2.2", "full", 500, [6, 1, 1]],
        ]
    ]


def test_a_settlement_is_full_to_the_last_byte_and_so_is_the_next() -> None:
    assert _counts(_wide(FULL)) == [FULL]
    assert _counts(_wide(2 * FULL)) == [FULL, FULL]
    assert _counts(_wide(2 * FULL + 1)) == [FULL, FULL, 1]


@pytest.mark.parametrize("where", ["rule", "status", "reason"])
def test_one_letter_more_and_its_last_group_is_of_the_next(where: str) -> None:
    assert _counts(_wide(FULL, 0, where)) == [FULL - 1, 1]
    assert _counts(_wide(2 * FULL, FULL, where)) == [FULL, FULL - 1, 1]


def test_no_more_groups_than_a_settlement_may_have() -> None:
    groups = Groups()
    for seq in range(2 * MOST_GROUPS + 1):
        groups.add(REFUSED, "", "5.7.1", "", seq, seq, 1)
    assert _counts(groups) == [MOST_GROUPS, MOST_GROUPS, 1]


def test_reasons_that_differ_where_nobody_is_told_of_it_are_one() -> None:
    groups = Groups()
    for seq, end in enumerate("ab"):
        groups.add(REFUSED, "", "5.7.1", "x" * 500 + end, 0, seq, 1)
    ((group,),) = groups.parts()
    assert group[3] == "x" * 500


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "r" * 900, "é" * 900]), st.integers(0, 3)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 1 << 48),
)
def test_whatever_it_says_each_fits_a_frame_and_all_is_said_once(
    ends: list[tuple[str, int]], first: int
) -> None:
    groups = Groups()
    meant: Counter[tuple[int, int]] = Counter()
    for at, (reason, kind) in enumerate(ends):
        for seq in range(first + at * 1000, first + at * 1000 + 400, 2):
            groups.add(REFUSED, f"rule {at}", "5.7.1", reason, kind, seq, 1)
            meant[seq, 1] += 1
    said: Counter[tuple[int, int]] = Counter()
    for part in groups.parts():
        assert sum(map(len, encode(Return(1, part)))) <= MAX_HEAD
        for group in part:
            said.update(unroll(group[5]))
    assert said == meant
