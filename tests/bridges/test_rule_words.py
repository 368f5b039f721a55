"""Rules at their edges: what just fits, and what is said of them."""

from __future__ import annotations

import pytest

from ipcbus.protocol.limits import MAX_TOPIC
from ipcbus_bridges.rule import short
from ipcbus_bridges.rules import Facts, LinkRules, Rules, parse_short

MAIL = Facts("alice@dev", "bob@prod", "inform", 4, 100, (), 0, False)


def link(*texts: str) -> LinkRules:
    """From dev to prod, by allows, and denies with a `!` before them."""
    rules = [
        one
        for n, text in enumerate(texts)
        for one in parse_short(
            text.removeprefix("!"), allow=text[:1] != "!", id=f"r{n}", a="dev", b="prod"
        )
    ]
    return Rules("dev", "prod", rules).link("dev", "prod")


def test_it_says_that_denies_with_replies_hold_for_answers_too() -> None:
    words = "but for denies with replies"
    assert words in link("* -> *", "!eve -> * replies").says()[-1]
    assert words not in link("* -> *", "!eve -> *").says()[-1]


def test_of_an_answer_only_denies_with_replies_are_looked_at() -> None:
    steps: list[str] = []
    answer = MAIL._replace(granted=True, kind="reply")
    rules = link("* -> *", "!* -> * labels=x", "!* -> * labels=y replies")
    assert rules.decide(answer, steps).carry
    assert steps == [
        "deny r2: does not match (labels)",
        "dev vouches for it: carried",
    ]


@pytest.mark.parametrize("spare", [0, -1])
def test_a_topic_may_be_as_long_as_a_topic_can_be_with_its_prefix(spare: int) -> None:
    topic = "a" * (MAX_TOPIC - len("dev.") - spare)
    decision = link("* -> #** prefix=dev").decide(MAIL._replace(to=f"#{topic}"))
    assert decision.carry == (spare == 0)


@pytest.mark.security
@pytest.mark.parametrize("to", ["xdeploy", "deploy", "@deploy", "##deploy"])
def test_what_only_looks_like_a_topic_is_none(to: str) -> None:
    assert not link("* -> #deploy").decide(MAIL._replace(to=to)).carry


@pytest.mark.parametrize(
    ("given", "size", "carried"),
    [
        ("size=100B..200B", 99, False),
        ("size=100B..200B", 100, True),
        ("size=100B..200B", 200, True),
        ("size=100B..200B", 201, False),
        ("size=100B..", 100, True),
        ("size=..100B", 100, True),
    ],
)
def test_both_ends_of_a_range_belong_to_it(
    given: str, size: int, carried: bool
) -> None:
    rules = link(f"* -> * {given}")
    assert rules.decide(MAIL._replace(size=size)).carry == carried


@pytest.mark.parametrize("priority", [3, 4, 5])
def test_a_range_may_be_of_one_number(priority: int) -> None:
    rules = link("* -> * priority=4..4")
    assert rules.decide(MAIL._replace(priority=priority)).carry == (priority == 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("* -> * priority=4..4", "*@dev -> *@prod priority=4"),
        ("* -> * priority=4..5", "*@dev -> *@prod priority=4..5"),
        ("!* -> bob", "* -> bob@prod"),
        ("* -> bob", "*@dev -> bob@prod"),
        ("!*@* -> bob", "* -> bob@prod"),
        ("*@* -> bob transit", "*@* -> bob@prod transit"),
    ],
)
def test_a_rule_is_told_in_as_few_words_as_it_can_be(text: str, told: str) -> None:
    (one,) = link(text).rules
    assert short(one, "dev") == told


def test_a_rule_covers_one_with_the_same_labels_or_fewer() -> None:
    def rule(labels: str) -> LinkRules:
        return link(f"* -> * labels={labels}")

    (two,), (same,), (one,) = (rule(x).rules for x in ("a,b", "b,a", "a"))
    assert two.covers(same)
    assert two.covers(one)
    assert not one.covers(two)


def test_what_has_no_transit_covers_nothing_that_has() -> None:
    (near,), (far,) = link("* -> *").rules, link("* -> * transit").rules
    assert not near.covers(far)
    assert far.covers(near)
    (deny,) = link("!*@* -> *@*").rules
    assert deny.covers(far)


def test_a_link_lets_mail_cross_one_network_unless_it_is_told_more() -> None:
    rules = link("*@* -> * transit").rules
    one, two = LinkRules("dev", "prod", rules), LinkRules("dev", "prod", rules, 2)
    far = MAIL._replace(sender="eve@far", hops=1)
    assert one.decide(MAIL).carry
    assert not one.decide(far).carry
    assert two.decide(far).carry
    assert not two.decide(far._replace(hops=2)).carry
