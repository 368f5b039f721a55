"""What a bridge carries."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.protocol import limits
from ipcbus.protocol.messages import SENDABLE_KINDS
from ipcbus_bridges import rule
from ipcbus_bridges.rules import (
    Decision,
    Exposed,
    Facts,
    LinkRules,
    Options,
    Rules,
    Terms,
    arriving_topic,
    parse_short,
)
from tests.bridges import naive
from tests.bridges.naive import FACTS, Spec, specs

MAIL = Facts("alice@dev", "bob@prod", "inform", 4, 100, (), 0, False)


def link(*texts: str, max_hops: int = 1, **denies: str) -> LinkRules:
    """From dev to prod, by allows; and denies by their ids."""
    given = [(f"allow-{n}", text, True) for n, text in enumerate(texts, 1)]
    given += [(id_, text, False) for id_, text in denies.items()]
    rules = [
        one
        for id_, text, allow in given
        for one in parse_short(text, allow=allow, id=id_, a="dev", b="prod")
    ]
    return Rules("dev", "prod", rules, Terms(max_hops=max_hops)).link("dev", "prod")


def refused(decision: Decision, status: str, says: str, rule: str = "") -> None:
    assert not decision.carry
    assert decision.status == status
    assert says in decision.reason
    assert decision.rule == rule
    assert len(decision.reason) <= limits.MAX_TEXT


def test_bounds_are_those_of_the_protocol() -> None:
    assert rule.MAX_BODY == limits.MAX_BODY
    assert rule.MAX_HOPS == limits.MAX_HOPS
    assert rule.MAX_REPLIES == limits.MAX_REPLIES
    assert rule.MAX_HOLD_MS == limits.MAX_HOLD_MS
    assert rule.PRIORITIES == limits.PRIORITIES
    assert set(rule.SENDABLE) == SENDABLE_KINDS
    assert Options() == Options(10, 7 * 24 * 3600 * 1000, 1024 * 1024, *Options()[3:])


# --- without rules -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["inform", "request", "reply", "ack"])
def test_without_rules_agents_write_to_agents_both_ways(kind: str) -> None:
    rules = Rules.default("dev", "prod")
    there = rules.link("dev", "prod").decide(MAIL._replace(kind=kind))
    assert there == Decision(True, "default", "", "", Options())
    back = MAIL._replace(sender="bob@prod", to="Alice@DEV", kind=kind)
    assert rules.link("prod", "dev").decide(back).carry


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (MAIL._replace(to="*"), "5.7.1"),
        (MAIL._replace(to="#deploy"), "5.7.1"),
        (MAIL._replace(kind="control"), "5.7.1"),
        (MAIL._replace(kind="bounce"), "5.7.1"),
        (MAIL._replace(to="bob@far"), "5.4.6"),
        (MAIL._replace(sender="alice@far", hops=1), "5.4.6"),
        (MAIL._replace(hops=1), "5.4.6"),
        (MAIL._replace(to="carol@dev"), "5.4.6"),
    ],
)
def test_without_rules_nothing_else_passes(facts: Facts, status: str) -> None:
    decision = Rules.default("dev", "prod").link("dev", "prod").decide(facts)
    refused(decision, status, f"this {facts.kind} of {facts.sender} to {facts.to}")


def test_it_says_so_when_it_starts() -> None:
    [first, last] = Rules.default("dev", "prod").link("dev", "prod").says()
    assert first == "dev -> prod: default: carries *@dev -> *@prod"
    assert last == (
        "dev -> prod: answers to what was delivered pass; nothing else does: "
        "no mail to everyone (*), no topics, no control messages"
    )


# --- denies and allows ---------------------------------------------------------


def test_the_first_allow_that_matches_supplies_the_options() -> None:
    rules = link("a* -> * labels=x max_bytes=1KiB", "* -> * max_bytes=2KiB", "x -> y")
    assert rules.decide(MAIL).options.max_bytes == 2048
    assert rules.decide(MAIL._replace(labels=("x",))).options.max_bytes == 1024


def test_any_deny_wins_wherever_it_stands() -> None:
    rules = link("alice -> bob", no_secrets="* -> * labels=secret,pii")
    assert rules.decide(MAIL).carry
    decision = rules.decide(MAIL._replace(labels=("pii", "x")))
    refused(decision, "5.7.1", "rule no_secrets", "no_secrets")


def test_a_refusal_tells_of_no_other_rule() -> None:
    rules = link("carol -> dave", "alice -> bob kinds=control", no="x -> y")
    refused(rules.decide(MAIL), "5.7.1", "no rule")
    said = rules.decide(MAIL).reason
    assert not any(word in said for word in ("allow-", "carol", "control"))


def test_control_passes_only_where_a_rule_names_it() -> None:
    control = MAIL._replace(kind="control")
    assert not link("* -> *").decide(control).carry
    assert link("* -> * kinds=control").decide(control).carry
    assert not link("* -> * kinds=control").decide(MAIL).carry


@pytest.mark.security
def test_a_star_in_a_deny_is_everything() -> None:
    texts = ("* -> * kinds=inform", "* -> #**", "*@* -> *@* transit")
    rules = link(*texts, max_hops=3, no="* -> * labels=s")
    for to in ("bob@prod", "#deploy", "bob@far"):
        assert rules.decide(MAIL._replace(to=to)).carry
        refused(rules.decide(MAIL._replace(to=to, labels=("s",))), "5.7.1", "no", "no")
    far = MAIL._replace(sender="alice@far", hops=1)
    assert rules.decide(far).carry
    assert not rules.decide(far._replace(labels=("s",))).carry


@pytest.mark.security
@pytest.mark.parametrize(
    "name", ["al\u0131ce@dev", "al*ce@dev", "*@dev", "alice", "@dev", "a b@dev", ""]
)
def test_a_name_with_odd_letters_never_matches(name: str) -> None:
    rules = link("* -> *")
    assert not rules.decide(MAIL._replace(sender=name)).carry
    assert not rules.decide(MAIL._replace(to=name.replace("dev", "prod"))).carry


@pytest.mark.security
def test_letters_that_fold_to_others_are_odd() -> None:
    kelvin = "\u212aarl@dev"
    assert kelvin.lower() == "karl@dev"
    assert not link("karl -> bob").decide(MAIL._replace(sender=kelvin)).carry


def test_names_are_compared_folded_and_topics_are_not() -> None:
    rules = link("ALICE -> Bob", "* -> #Deploy")
    assert rules.decide(MAIL._replace(sender="Alice@Dev", to="BOB@PROD")).carry
    assert not rules.decide(MAIL._replace(to="#deploy")).carry


# --- answers -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reply", "ack", "bounce", "control", "inform"])
def test_an_answer_needs_no_rule(kind: str) -> None:
    answer = MAIL._replace(kind=kind, granted=True, size=10**6, to="x@far", hops=1)
    decision = link("x -> y max_bytes=1B", no="* -> *").decide(answer)
    assert decision == Decision(True, "replies", "", "", Options())


def test_a_deny_with_replies_wins_over_answers_and_never_over_bounces() -> None:
    rules = link("* -> *", no="* -> * labels=secret replies")
    secret = MAIL._replace(granted=True, kind="reply", labels=("secret",))
    refused(rules.decide(secret), "5.7.1", "forbids", "no")
    assert rules.decide(secret._replace(labels=())).carry
    assert rules.decide(secret._replace(kind="bounce")).carry


# --- farther networks ----------------------------------------------------------


def test_mail_of_a_farther_network_needs_transit() -> None:
    far = MAIL._replace(sender="alice@far", hops=1)
    refused(link("*@* -> *", max_hops=2).decide(far), "5.4.6", "transit")
    decision = link("*@* -> *", "*@far -> * transit", max_hops=2).decide(far)
    assert decision.rule == "allow-2"


def test_mail_to_a_farther_network_needs_transit() -> None:
    away = MAIL._replace(to="bob@far")
    refused(link("* -> *@*").decide(away), "5.4.6", "transit")
    assert link("* -> *@far transit").decide(away).carry


def test_mail_that_went_its_hops_goes_no_further() -> None:
    rules = link("*@* -> *@* transit", max_hops=2)
    far = MAIL._replace(sender="alice@far", hops=1)
    assert rules.decide(far).carry
    refused(rules.decide(far._replace(hops=2)), "5.4.6", "hop 3", "allow-1")


@pytest.mark.parametrize(
    "facts",
    [
        MAIL._replace(sender="alice@prod", hops=1),
        MAIL._replace(sender="alice@prod", to="#deploy", hops=1),
        MAIL._replace(to="bob@dev"),
    ],
)
def test_mail_never_returns(facts: Facts) -> None:
    rules = link("*@* -> *@* transit", "*@* -> #** transit", max_hops=8)
    refused(rules.decide(facts), "5.4.6", "where it came from")


# --- sizes, topics -------------------------------------------------------------


def test_what_is_too_big_is_refused_with_both_numbers() -> None:
    rules = link("* -> * max_bytes=1KiB", "* -> *")
    assert rules.decide(MAIL._replace(size=1024)).carry
    refused(rules.decide(MAIL._replace(size=1025)), "5.3.4", "1025 bytes", "allow-1")
    assert "1024 at most" in rules.decide(MAIL._replace(size=1025)).reason


def test_size_as_a_condition_lets_the_next_rule_decide() -> None:
    rules = link("* -> * size=..1KiB max_bytes=1KiB", "* -> * size=1KiB..")
    assert [rules.decide(MAIL._replace(size=n)).rule for n in (1024, 1025)] == [
        "allow-1",
        "allow-2",
    ]


def test_topics_arrive_with_their_prefix() -> None:
    rules = link("ci.* -> #deploy.** prefix=dev")
    decision = rules.decide(MAIL._replace(sender="ci.x@dev", to="#deploy.web"))
    assert arriving_topic("#deploy.web", decision.options) == "#dev.deploy.web"
    assert arriving_topic("#deploy.web", Options()) == "#deploy.web"


@pytest.mark.parametrize("topic", ["a." * 7 + "a", "a" * 126])
def test_a_topic_that_its_prefix_makes_too_long_is_refused(topic: str) -> None:
    decision = link("* -> #** prefix=dev").decide(MAIL._replace(to=f"#{topic}"))
    refused(decision, "5.3.4", "'dev' before it", "allow-1")


def test_topics_to_join_lie_not_within_each_other() -> None:
    rules = link("a -> #x.**", "b -> #x.y", "c -> #z", "* -> #x.**", "d -> bob")
    assert rules.topics() == ["x.**", "z"]
    assert link("a -> #**", "a -> #*.**").topics() == ["**"]


def test_routes_are_the_farther_networks_that_transit_rules_name() -> None:
    rules = link("* -> *@Far transit", "* -> *@* transit", "*@x -> *@prod transit")
    assert rules.routes() == ["far"]


def test_who_is_exposed_comes_with_what_is_denied_whatever_the_message() -> None:
    rules = link(
        "* -> rev* expose", "x -> y", a="* -> ops", b="* -> * labels=x", c="eve -> *"
    )
    denies = [("*@*", "ops@prod"), ("eve@dev", "*@*")]
    assert rules.exposed() == [Exposed("*@dev", "rev*@prod", denies)]


# --- what explains -------------------------------------------------------------


def test_steps_tell_each_rule_that_was_looked_at() -> None:
    rules = link("x -> y", "* -> * kinds=request", "* -> *", no="* -> * labels=s")
    steps: list[str] = []
    rules.decide(MAIL, steps)
    assert steps == [
        "deny no: does not match (labels)",
        "way back: no",
        "transit: no need",
        "allow allow-1: does not match (from)",
        "allow allow-2: does not match (kinds)",
        "allow allow-3: matches",
        "hops: 1 of 1 at most",
        "size: 100 of 1048576 bytes at most",
    ]


def test_steps_of_what_is_never_and_what_is_always_carried() -> None:
    steps: list[str] = []
    link("* -> *").decide(MAIL._replace(to="*"), steps)
    link("* -> *").decide(MAIL._replace(granted=True), steps)
    assert steps == ["everyone: never carried", "dev vouches for it: carried"]


def test_a_revision_is_that_of_the_rules() -> None:
    one, same, other = link("* -> *"), link("*  ->  *"), link("* -> * priority=5")
    assert one.revision == same.revision != other.revision
    assert len(one.revision) == 12
    assert link("* -> *", max_hops=2).revision != one.revision


def test_a_link_that_is_none_of_the_bridge_is_no_link() -> None:
    rules = Rules.default("dev", "prod")
    assert rules.link("DEV", "Prod").source == "dev"
    with pytest.raises(KeyError):
        rules.link("dev", "far")


# --- against a naive one -------------------------------------------------------


@given(st.lists(specs(), max_size=5), FACTS, st.integers(1, 3))
def test_it_decides_as_a_naive_one(given: list[Spec], facts: Facts, hops: int) -> None:
    rules = naive.rules(given, hops)
    for source, there in (("dev", "prod"), ("prod", "dev")):
        real = rules.link(source, there).decide(facts)
        carried, number, status = naive.decide(given, facts, source, hops)
        assert (real.carry, real.status) == (carried, status)
        if number is not None and given[number].allow:
            assert real.rule == f"r{number}"


@given(st.lists(specs(), max_size=4), FACTS)
def test_telling_the_steps_changes_nothing(given: list[Spec], facts: Facts) -> None:
    rules = naive.rules(given).link("dev", "prod")
    steps: list[str] = []
    assert rules.decide(facts, steps) == rules.decide(facts) == rules.decide(facts)
    assert steps


@given(st.lists(specs(), max_size=4), specs(allow=False), st.integers(0, 4), FACTS)
def test_one_deny_more_never_lets_more_through(
    given: list[Spec], deny: Spec, place: int, facts: Facts
) -> None:
    more = [*given[:place], deny, *given[place:]]
    after = naive.rules(more).link("dev", "prod").decide(facts)
    before = naive.rules(given).link("dev", "prod").decide(facts)
    assert before.carry or not after.carry
    if after.carry:
        assert after.options == before.options


@given(st.lists(specs(), max_size=5), FACTS, st.randoms())
def test_the_order_of_denies_is_of_no_matter(
    given: list[Spec], facts: Facts, chance: random.Random
) -> None:
    denies = [spec for spec in given if not spec.allow]
    allows = [spec for spec in given if spec.allow]
    chance.shuffle(denies)
    before = naive.rules(given).link("dev", "prod").decide(facts)
    after = naive.rules([*denies, *allows]).link("dev", "prod").decide(facts)
    assert (before.carry, before.status, before.options) == (
        after.carry,
        after.status,
        after.options,
    )


@given(st.lists(specs(), min_size=1, max_size=4), FACTS, st.data())
def test_one_allow_less_never_lets_more_through(
    given: list[Spec], facts: Facts, data: st.DataObject
) -> None:
    # But for the size that a rule allows, the next one may allow more.
    given = [spec._replace(max_bytes=None) for spec in given]
    gone = data.draw(st.integers(0, len(given) - 1))
    less = [spec for n, spec in enumerate(given) if n != gone or not spec.allow]
    if naive.rules(less).link("dev", "prod").decide(facts).carry:
        assert naive.rules(given).link("dev", "prod").decide(facts).carry


def test_many_pairs_and_rules_cost_neither_time_nor_memory() -> None:
    texts = [f"agent{n}* -> bob{n} labels=x" for n in range(50)]
    rules = link(*texts, "* -> *", no="* -> * labels=secret")
    start, asked = time.perf_counter(), 0
    for n in range(10_000):
        decision = rules.decide(MAIL._replace(sender=f"agent{n % 9000}@dev"))
        asked += decision.carry
    assert asked == 10_000
    assert time.perf_counter() - start < 10
    assert len(rules._pairs) <= 4096
