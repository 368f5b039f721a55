"""Rules that ask for more than a broker gives are found when they are read: a broker
would refuse the link, and all mail of it would wait."""

from __future__ import annotations

import re

import pytest

from ipcbus.broker import grants, terms
from ipcbus.errors import ConfigError
from ipcbus_bridges import checks, rulefile
from ipcbus_bridges.rules import Rules
from tests.bridges.cluster import Cluster


def test_the_bounds_are_those_of_a_broker() -> None:
    assert checks.MOST_TOPICS == terms.MOST_TOPICS
    assert checks.MOST_ROUTES == terms.MOST_ROUTES
    assert checks.MOST_HOLDS == grants.MOST_RULES


def topics(count: int, more: str = "") -> list[str]:
    return [f"allow: '* -> #ci.t{number}'{more}" for number in range(count)]


def far(count: int) -> list[str]:
    return [f"allow: '*@dev -> *@n{n}'\n  transit: true" for n in range(count)]


def held(count: int) -> list[str]:
    return [f"allow: '*@dev -> bob{n}@prod'\n  hold_for: 1h" for n in range(count)]


def parsed(rules: list[str]) -> Rules:
    lines = [f"- id: r{number}\n  {rule}\n" for number, rule in enumerate(rules)]
    return rulefile.parse(
        b"rules:\n" + "".join(lines).encode(), "rules.yaml", "dev", "prod"
    )


KINDS = pytest.mark.parametrize(
    ("rules", "most"),
    [
        (topics, checks.MOST_TOPICS),
        (far, checks.MOST_ROUTES),
        (held, checks.MOST_HOLDS),
    ],
    ids=["topics", "routes", "holds"],
)


@KINDS
def test_one_too_many_is_wrong_in_its_place(rules: object, most: int) -> None:
    assert callable(rules)
    said = rf"rules\.r{most} \(line \d+\): is one .* than the {most} .*from dev to prod"
    with pytest.raises(ConfigError, match=said):
        parsed(rules(most + 1))


@KINDS
def test_as_many_as_may_be_are_led(town: Cluster, rules: object, most: int) -> None:
    assert callable(rules)
    there = town.link("dev", "prod", parsed(rules(most)))
    town.run()
    assert (there.state, there.link.why) == ("running", "")


def test_what_lies_within_another_pattern_is_not_counted(town: Cluster) -> None:
    few = [f"{rule}\n  kinds: [request]" for rule in topics(120)]
    for number, rule in enumerate(few):
        few[number] = f"{rule}\n  overflow: drop_oldest"
    rules = parsed([*few, "allow: '* -> #ci.*'"])
    there = town.link("dev", "prod", rules)
    town.run()
    assert there.state == "running"


def test_the_command_line_has_the_same_bounds() -> None:
    texts = [f"*@dev -> #t{number}" for number in range(checks.MOST_TOPICS + 1)]
    with pytest.raises(ConfigError, match=re.escape("'*@dev -> #t100'")):
        rulefile.build(texts, [], None, "dev", "prod")
