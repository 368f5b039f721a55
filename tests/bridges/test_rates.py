"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus_bridges.rates import Buckets, Rate

RATE = Rate(3, 60_000)


def take(buckets: Buckets, now: int, rate: Rate = RATE, who: str = "a@dev") -> int:
    return buckets.take("rule", rate, who, "b@prod", now)


def test_a_full_bucket_passes_at_once_and_then_one_by_one() -> None:
    buckets = Buckets()
    assert [take(buckets, 0) for _ in range(4)] == [0, 0, 0, 20_000]
    assert take(buckets, 19_999) == 1
    assert take(buckets, 20_000) == 0
    assert take(buckets, 20_000) == 20_000


def test_asking_again_costs_nothing() -> None:
    buckets = Buckets()
    assert [take(buckets, 0) for _ in range(99)][3:] == [20_000] * 96


def test_a_bucket_is_never_more_than_full() -> None:
    buckets = Buckets()
    take(buckets, 0)
    assert [take(buckets, 10**9) for _ in range(4)] == [0, 0, 0, 20_000]


def test_a_clock_that_goes_back_lets_nothing_through() -> None:
    buckets = Buckets()
    for _ in range(3):
        take(buckets, 100_000)
    assert take(buckets, 0) == 120_000


@pytest.mark.parametrize(("by", "passes"), [("rule", 1), ("sender", 2), ("pair", 3)])
def test_who_shares_a_bucket(by: str, passes: int) -> None:
    rate = Rate(1, 1000, by)  # type: ignore[arg-type]
    buckets = Buckets()
    mail = [
        ("a@dev", "b@prod"),
        ("A@Dev", "B@PROD"),
        ("a@dev", "c@prod"),
        ("d@dev", "b@prod"),
    ]
    answers = [buckets.take("r", rate, sender, to, 0) for sender, to in mail]
    assert answers.count(0) == passes
    assert buckets.take("other", rate, "a@dev", "b@prod", 0) == 0


def test_a_changed_rate_begins_with_a_full_bucket() -> None:
    buckets = Buckets()
    for _ in range(3):
        take(buckets, 0)
    assert take(buckets, 0, Rate(4, 60_000)) == 0


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    buckets = Buckets(most=2)
    one = Rate(1, 60_000, "sender")
    for who in ("a@dev", "b@dev", "a@dev", "c@dev"):
        take(buckets, 0, one, who)
    assert len(buckets) == 2
    assert take(buckets, 0, one, "c@dev") == 60_000
    assert take(buckets, 0, one, "a@dev") == 0, "it was forgotten: asked, not taken"


@given(
    st.integers(1, 20),
    st.integers(1, 5000),
    st.lists(st.integers(0, 400), min_size=1, max_size=60),
)
def test_no_more_pass_than_were_promised_and_waiting_is_enough(
    messages: int, per_ms: int, gaps: list[int]
) -> None:
    rate, buckets, now = Rate(messages, per_ms), Buckets(), 0
    passed: list[int] = []
    for gap in gaps:
        now += gap
        wait = take(buckets, now, rate)
        if wait:
            assert take(buckets, now + wait - 1, rate) == 1
            now += wait
            assert take(buckets, now, rate) == 0
        passed.append(now)
    for n, begin in enumerate(passed):
        for m in range(n, len(passed)):
            # A full bucket, and what came into it since.
            most = messages + (passed[m] - begin) * messages / per_ms
            assert m - n + 1 <= most + 1e-9


def test_it_tells_what_is_left_of_the_buckets_that_were_used() -> None:
    buckets = Buckets()
    by_sender = Rate(3, 60_000, "sender")
    assert buckets.left(0) == []
    for sender in ("Ann@dev", "ann@dev", "ben@dev"):
        assert buckets.take("r", by_sender, sender, "bob@prod", 0) == 0
    assert buckets.left(0) == [["r", "ben@dev", "", 2], ["r", "ann@dev", "", 1]]
    assert buckets.left(20_000)[1] == ["r", "ann@dev", "", 2]
    assert buckets.left(90_000)[1] == ["r", "ann@dev", "", 3]


@given(st.integers(1, 9), st.lists(st.integers(0, 5_000), max_size=30))
def test_as_many_pass_as_are_left(messages: int, pauses: list[int]) -> None:
    rate, buckets, now = Rate(messages, 10_000), Buckets(), 0
    for pause in pauses:
        now += pause
        buckets.take("r", rate, "a@dev", "b@prod", now)
    left = buckets.left(now)[0][3] if pauses else messages
    passed = 0
    while buckets.take("r", rate, "a@dev", "b@prod", now) == 0:
        passed += 1
    assert passed == left
