"""The short form of rules: which way they go, and what is said to a slip."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from ipcbus.errors import ConfigError
from ipcbus_bridges.rates import Rate
from ipcbus_bridges.rule import HOUR, MINUTE, Range, Rule, short
from ipcbus_bridges.rules import Options, parse_short
from tests.bridges.naive import Spec, specs


def parsed(text: str, *, allow: bool = True) -> list[Rule]:
    return parse_short(text, allow=allow, id="r", a="dev", b="prod")


def ways(text: str, *, allow: bool = True) -> list[tuple[str, str, str]]:
    return [
        (f"{rule.source}-{rule.destination}", str(rule.sender), rule.target)
        for rule in parsed(text, allow=allow)
    ]


@pytest.mark.parametrize(
    ("text", "way", "sender", "to"),
    [
        ("planner -> reviewer", "dev-prod", "planner@dev", "reviewer@prod"),
        ("planner <- reviewer", "prod-dev", "reviewer@prod", "planner@dev"),
        ("planner@prod -> reviewer", "prod-dev", "planner@prod", "reviewer@dev"),
        ("planner -> reviewer@dev", "prod-dev", "planner@prod", "reviewer@dev"),
        ("a@dev <- b", "prod-dev", "b@prod", "a@dev"),
        ("a@prod <- b", "dev-prod", "b@dev", "a@prod"),
        ("A@DEV -> B@Prod", "dev-prod", "a@dev", "b@prod"),
        ("*@* -> *", "dev-prod", "*@*", "*@prod"),
        ("*@pr* -> *", "prod-dev", "*@pr*", "*@dev"),
        ("a@far -> b@prod", "dev-prod", "a@far", "b@prod"),
        ("a@prod -> b@far", "prod-dev", "a@prod", "b@far"),
        ("a@far -> b@away", "dev-prod", "a@far", "b@away"),
        ("ci.*@dev -> #deploy.**", "dev-prod", "ci.*@dev", "#deploy.**"),
        ("ci -> #deploy", "dev-prod", "ci@dev", "#deploy"),
        ("#deploy.* <- ci@prod", "prod-dev", "ci@prod", "#deploy.*"),
    ],
)
def test_the_way_follows_from_arrow_and_networks(
    text: str, way: str, sender: str, to: str
) -> None:
    assert ways(text) == [(way, sender, to)]


def test_both_ways_are_two_rules_with_ids_of_their_own() -> None:
    assert [rule.id for rule in parsed("x <-> y")] == ["r.fwd", "r.rev"]
    both = [("dev-prod", "x@dev", "y@prod"), ("prod-dev", "y@prod", "x@dev")]
    assert ways("x <-> y") == both
    assert ways("x@dev <-> y@prod") == both
    assert ways("y@prod <-> x") == both[::-1]


def test_a_star_alone_in_a_deny_is_everything() -> None:
    assert ways("* -> *", allow=False) == [("dev-prod", "*@*", "*")]
    assert ways("*@dev -> *@prod", allow=False) == [("dev-prod", "*@dev", "*@prod")]
    assert len(ways("* <-> *", allow=False)) == 2


def test_words_are_conditions_and_options() -> None:
    [rule] = parsed(
        "a -> b kinds=request,inform labels=x,y size=1KiB.. priority=5.. replies=5 "
        "max_bytes=64KiB transit expose rate=10/min per=sender exceed=refuse "
        "hold_for=1h"
    )
    assert rule.when == (
        ("inform", "request"),
        ("x", "y"),
        Range(1024, None),
        Range(5, None),
    )
    assert rule.options == Options(
        replies_max=5,
        max_bytes=65536,
        transit=True,
        rate=Rate(10, MINUTE, "sender", "refuse"),
        hold_ms=HOUR,
        expose=True,
    )
    [topics] = parsed("a -> #b prefix=x.y overflow=drop_oldest replies=3/2h")
    assert topics.options == Options(
        replies_max=3,
        replies_within_ms=2 * HOUR,
        prefix="x.y",
        overflow="drop_oldest",
    )
    [deny] = parsed("a -> b replies priority=3", allow=False)
    assert deny.replies
    assert deny.when.priority == Range(3, 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no rule: write it as planner@dev -> reviewer@prod"),
        ("a->b", "is no rule"),
        ("a > b", "is no rule"),
        ("a -> ", "is no rule"),
        ("a? -> b", "no pattern of names"),
        ("a@ -> b", "no pattern of names"),
        ("a@b@c -> b", "no pattern of names"),
        ("a -> #b..c", "no pattern of topics"),
        ("#a -> b", "a topic cannot send"),
        ("a <-> #b", "write -> instead of <->"),
        ("a@dev -> b@dev", "both sides are of dev"),
        ("a@prod <- b@prod", "both sides are of prod"),
        (f"{'a' * 33} -> b", "matches no name"),
        ("a -> b kind=inform", "did you mean kinds"),
        ("a -> b zzz", "there are: kinds, labels"),
        ("a -> b kinds=chat", "kinds: 'chat' is no kind.*inform, request"),
        ("a -> b kinds=bounce", "no kind"),
        ("a -> b labels=", "name a label"),
        ("a -> b labels=x labels=y", "labels is there twice"),
        ("a -> b size=5KiB", "no.* range such as"),
        ("a -> b size=2KiB..1KiB", "begins above its end"),
        ("a -> b priority=10", "from 0 to 9"),
        ("a -> b priority=..", "is not a priority"),
        ("a -> b replies=many", "whole number from 0 to 1000"),
        ("a -> b replies", "replies: '' is not a whole number"),
        ("a -> b max_bytes=2MiB", "from 1B to 1MiB"),
        ("a -> b max_bytes=2", "units: TiB"),
        ("a -> b rate=10", "a rate such as 10/min"),
        ("a -> b rate=0/min", "a rate such as 10/min"),
        ("a -> b rate=10/min per=agent", "not rule or sender or pair"),
        ("a -> b per=sender", "write rate=10/min too"),
        ("a -> b hold_for=8d", "from 1s to 7d"),
        ("a -> b prefix=x", "prefix is for rules of topics"),
        ("a -> #b prefix=x.*", "no prefix of topics"),
        ("a -> #b prefix=a.b.c.d.e.f.g.h", "7 at most"),
        ("a -> b overflow=drop_oldest", "write refuse"),
        ("a -> b overflow=drop", "refuse or drop_oldest"),
        ("a -> #b expose", "expose lists agents"),
        ("a -> b transit=yes", "'yes' is not true or false"),
    ],
)
def test_a_slip_is_told_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert re.search(says, str(caught.value)), str(caught.value)
    assert str(caught.value).startswith(f"the command line: --allow {text!r}: ")


def test_a_deny_has_no_options() -> None:
    with pytest.raises(ConfigError, match=r"--deny.*transit is of an allow"):
        parsed("a -> b transit", allow=False)
    with pytest.raises(ConfigError, match="replies: '5' is not true or false"):
        parsed("a -> b replies=5", allow=False)


@given(specs())
def test_what_is_written_is_read_back(spec: Spec) -> None:
    [rule] = parsed(spec.text(), allow=spec.allow)
    assert parsed(short(rule, "dev"), allow=spec.allow) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "a@dev -> #b.** prefix=x overflow=drop_oldest replies=0/1s hold_for=2h",
        "a@dev -> b@prod max_bytes=3KiB rate=7/day per=pair exceed=refuse expose",
        "#b <- *@prod size=1KiB..2KiB priority=..3",
    ],
)
def test_the_short_form_has_a_word_for_each_option(text: str) -> None:
    [rule] = parsed(text)
    assert sorted(short(rule, "dev").split()) == sorted(text.split())
