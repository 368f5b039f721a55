"""Rules of transit that lead in a circle, against mail that is sent round."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.errors import ConfigError
from ipcbus_bridges.overlap import circles, cycles
from ipcbus_bridges.rules import Facts, LinkRules, Rules, Terms, parse_short

Links = list[tuple[str, str, LinkRules]]


def bridge(a: str, b: str, *texts: str) -> Links:
    """Both links of a bridge; the ids of its rules are ab-1, ab-2 ..."""
    rules = [
        rule
        for n, text in enumerate(texts, 1)
        for rule in parse_short(text, allow=True, id=f"{a}{b}-{n}", a=a, b=b)
    ]
    made = Rules(a, b, rules, Terms(max_hops=8))
    return [(a, b, made.link(a, b)), (b, a, made.link(b, a))]


RING = ("a", "b"), ("b", "c"), ("c", "a")


def ring(text: str) -> Links:
    return [link for a, b in RING for link in bridge(a, b, text)]


def test_a_ring_of_transit_is_a_circle_and_its_rules_are_named() -> None:
    [said] = cycles(ring("*@* -> *@far transit"))
    assert said == (
        "mail to x@far would go round a -> b -> c -> a by the rules ab-1 (a -> b) and "
        "bc-1 (b -> c) and ca-1 (c -> a): narrow one of them, or take its transit away"
    )


def test_a_bridge_alone_can_be_a_circle() -> None:
    [circle] = circles(bridge("a", "b", "*@* -> *@far transit", "x*@f* <- *@* transit"))
    assert circle.networks == ("a", "b")
    assert circle.to == "x@far"


@pytest.mark.parametrize(
    "texts",
    [
        ("*@* -> *@far", "*@far <- *@*"),  # no transit
        ("*@* -> *@far transit", "*@away <- *@* transit"),
        ("x@* -> *@far transit", "*@far <- y@* transit"),
        ("*@a -> *@far transit", "*@far <- *@* transit"),  # of a, and would return
        ("*@* -> *@b transit", "*@b <- *@* transit"),  # it has arrived there
        ("*@* -> #x.** transit", "#y.** <- *@* transit"),
        ("*@* -> #** transit", "*@far <- *@* transit"),
        ("*@* -> #x.** transit prefix=a", "#x.** <- *@* transit"),
        ("*@* -> #x.** transit prefix=a", "#** <- *@* transit prefix=b"),
        ("*@* -> *@far transit kinds=ack", "*@far <- *@* transit kinds=reply"),
        ("*@* -> *@far transit size=..9B", "*@far <- *@* transit size=10B.."),
        ("*@* -> *@far transit priority=1", "*@far <- *@* transit priority=2.."),
    ],
)
def test_what_no_message_can_go_round_is_no_circle(texts: tuple[str, str]) -> None:
    assert cycles(bridge("a", "b", *texts)) == []


@pytest.mark.parametrize(
    ("texts", "to"),
    [
        (("*@* -> #x.** transit", "#*.y <- *@* transit"), "#x.y"),
        (("*@* -> #** transit prefix=a", "#a.** <- *@* transit"), "#x"),
        (("p*@* -> *q@far transit", "*r@* <- *@c transit"), None),
        (("p*@* -> *q@far transit", "q*@f* <- *@c transit"), "q@far"),
        (("* -> *@far transit", "x -> y", "*@far <- *@* transit"), None),
    ],
)
def test_patterns_are_compared_exactly(texts: tuple[str, ...], to: str | None) -> None:
    found = circles(bridge("a", "b", *texts))
    assert [circle.to for circle in found] == ([to] if to else [])


def test_a_star_of_bridges_is_no_circle() -> None:
    links = [
        link
        for leaf in ("x", "y", "z")
        for link in bridge("hub", leaf, f"*@* -> *@{leaf} transit", f"*@* <- *@{leaf}")
    ]
    assert cycles(links) == []


def test_a_line_that_carries_both_ways_is_no_circle() -> None:
    links = bridge("a", "b", "*@* -> *@b", "*@a -> *@c transit", "*@a <- *@c transit")
    links += bridge("b", "c", "*@a -> *@c transit", "*@a <- *@c transit")
    assert cycles(links) == []


def test_names_of_networks_are_compared_folded() -> None:
    links = bridge("A", "b", "*@* -> *@far transit")
    links += bridge("B", "a", "*@* -> *@far transit")
    assert [circle.networks for circle in circles(links)] == [("A", "B")]


def test_in_a_mesh_of_many_networks_the_answer_comes() -> None:
    names = [f"n{n}" for n in range(10)]
    links = [
        link
        for n, a in enumerate(names)
        for b in names[n + 1 :]
        for link in bridge(a, b, "*@* -> *@far transit", "*@* <- *@*")
    ]
    assert cycles(links) == []
    links += bridge("n9", "n0", "*@* -> *@far transit")
    assert 1 <= len(cycles(links)) <= 20


# --- against messages that are really sent round ------------------------------

SIDES = st.sampled_from(["*@*", "a*@*", "*b@*", "*@far", "*@f*", "ab@*", "*@a", "*@b"])
TEXTS = st.builds(
    "{} {} {} transit {}".format,
    SIDES,
    st.just("->"),
    SIDES | st.sampled_from(["#x.**", "#*.x", "#**", "#x"]),
    st.sampled_from(["", "kinds=ack", "kinds=ack,reply", "priority=5.."]),
)
NETWORKS = ("a", "b", "c", "far", "f")
WHO = [
    f"{name}@{n}"
    for name in ("a", "b", "ab", "x")
    for n in ("a", "b", "c", "far", "f", "y")
]
MAIL = [
    Facts(sender, to, kind, priority, 1, (), 1, False)
    for sender, to in product(WHO, [*WHO, "#x", "#x.x", "#y.x", "#y"])
    for kind, priority in (("ack", 5), ("reply", 5), ("ack", 4), ("inform", 5))
]


def goes_round(links: Links) -> bool:
    """Whether some message passes all links, and is at home at none of their ends."""
    networks = {source for source, _, _ in links}
    return any(
        all(link.decide(facts).carry for _, _, link in links)
        and facts.to.partition("@")[2] not in networks
        for facts in MAIL
    )


def one_way(a: str, b: str, text: str) -> tuple[str, str, LinkRules]:
    rules = [
        rule._replace(source=a, destination=b)
        for rule in parse_short(text, allow=True, id=a + b, a=a, b=b)
    ]
    return a, b, LinkRules(a, b, rules, max_hops=8)


@given(st.lists(TEXTS, min_size=2, max_size=3))
def test_it_finds_a_circle_where_a_message_goes_round_and_nowhere_else(
    texts: list[str],
) -> None:
    names = "abc"[: len(texts)]
    ends = zip(names, names[1:] + names[0], texts, strict=True)
    try:
        links = [one_way(*end) for end in ends]
    except ConfigError:  # both sides are of one network
        return
    assert bool(cycles(links)) == goes_round(links)
