"""Files of rules: what they say, and how what is wrong is explained."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.errors import ConfigError
from ipcbus_bridges import rulefile
from ipcbus_bridges.rates import Rate
from ipcbus_bridges.redact import Redact
from ipcbus_bridges.rule import DAY, HOUR, MINUTE, Range, short
from ipcbus_bridges.rules import Facts, Options, Rules, Terms, parse_short
from tests.bridges.naive import Spec, specs

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "configs/rules/dev-prod.yaml"
MAIL = Facts("alice@dev", "bob@prod", "inform", 4, 100, (), 0, False)


def parsed(text: str, *known: str) -> Rules:
    return rulefile.parse(text.encode(), "rules.yaml", "dev", "prod", known or None)


def one(text: str) -> str:
    """A file of one rule, whose keys are the lines of `text`."""
    lines = text.strip().splitlines()
    return "rules:\n- id: r\n" + "".join(f"  {line}\n" for line in lines)


FULL = """
hold_for: 12h
warn_after: 0
max_hops: 3
max_queue: {messages: 100, bytes: 1MiB}
rules:
  - id: no-secrets
    deny: {from: "*", to: "*", labels: [secret, pii]}
    replies: true
  - id: plan-review
    allow: "planner@dev -> reviewer@prod"
    kinds: [request, inform]
    replies: {max: 5, within: 2h}
    max_bytes: 128KiB
    hold_for: 7d
    expose: true
  - id: ci
    allow: {from: "ci.*@dev", to: release-desk@prod, size: ..64KiB}
    priority: 5..
    rate: {messages: 10/min, per: sender, exceed: refuse}
    redact: {mask: ["AKIA*"], headers: env, data: [body.tokens], with: "***"}
  - id: deploys
    allow: {from: "*@prod", topic: "deploy.**"}
    prefix: prod
    overflow: drop_oldest
  - id: pairing
    allow: "helper@dev <-> helper@prod"
  - id: far
    allow: "*@far -> *"
    transit: true
"""


def test_a_file_is_read_into_rules_and_terms() -> None:
    rules = parsed(FULL)
    assert rules.terms == Terms(12 * HOUR, 0, 3, 100, 1024 * 1024)
    by_id = {rule.id: rule for rule in rules.rules if rule.allow}
    assert list(by_id) == [
        *("plan-review", "ci", "deploys", "pairing.fwd", "pairing.rev", "far"),
    ]
    plan = by_id["plan-review"]
    assert plan.when.kinds == ("inform", "request")
    assert plan.options == Options(
        5, 2 * HOUR, 128 * 1024, hold_ms=7 * DAY, expose=True
    )
    ci = by_id["ci"]
    assert ci.when[2:] == (Range(None, 64 * 1024), Range(5, None))
    assert ci.options.rate == Rate(10, MINUTE, "sender", "refuse")
    assert ci.options.redact == Redact(("AKIA*",), ("env",), ("body.tokens",), "***")
    assert by_id["deploys"].options == Options(prefix="prod", overflow="drop_oldest")
    assert ci.line == 17


def test_a_deny_that_names_no_network_holds_both_ways() -> None:
    rules = parsed(FULL)
    secret = MAIL._replace(labels=("pii",), granted=True)
    for way in (("dev", "prod"), ("prod", "dev")):
        assert rules.link(*way).decide(secret).rule == "no-secrets"


def test_what_a_file_leaves_out_is_as_usual() -> None:
    rules = parsed("rules:\n- {id: r, allow: a -> b}")
    assert rules.terms == Terms()
    assert rules.terms == Terms(24 * HOUR, 15 * MINUTE, 1, 50_000, 256 * 1024 * 1024)
    assert rules.rules[0].options == Options()


@pytest.mark.parametrize("text", ["rules:", "rules: []"])
def test_a_file_without_a_rule_carries_answers_alone(text: str) -> None:
    link = parsed(text).link("dev", "prod")
    assert not link.decide(MAIL).carry
    assert link.decide(MAIL._replace(granted=True)).carry


def test_a_rule_of_transit_makes_room_for_a_second_hop() -> None:
    assert parsed(one("allow: '*@far -> *'\ntransit: true")).terms.max_hops == 2


@given(st.lists(specs(), max_size=3))
def test_a_file_means_what_the_short_form_does(given: list[Spec]) -> None:
    given = [spec._replace(max_bytes=None) for spec in given]
    lines = ["rules:"]
    for n, spec in enumerate(given):
        verb = "allow" if spec.allow else "deny"
        sides = Spec(*spec[:4]).text()
        lines.append(f"- {{id: {verb}-{n}, {verb}: '{sides}', {_keys(spec)}}}")
    with suppress(ConfigError):  # some of them are unreachable, or lead in a circle
        rules = parsed("\n".join(lines))
        shorts = [short(rule, "dev") for rule in rules.rules]
        assert [set(s.split()) for s in shorts] == [
            set(short(rule, "dev").split())
            for n, spec in enumerate(given)
            for rule in parse_short(
                spec.text(), allow=spec.allow, id=f"r{n}", a="dev", b="prod"
            )
        ]


def _keys(spec: Spec) -> str:
    said = [
        f"kinds: [{', '.join(spec.kinds)}]" if spec.kinds else "",
        f"labels: [{', '.join(spec.labels)}]" if spec.labels else "",
        f"priority: {spec.priority[0]}..{spec.priority[1]}" if spec.priority else "",
        "transit: true" if spec.transit else "",
        "replies: true" if spec.replies else "",
    ]
    return ", ".join(filter(None, said))


# --- errors --------------------------------------------------------------------

TWO = "rules:\n- id: r\n  {}\n- id: s\n  {}\n"


def refused(text: str, *known: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parsed(text, *known)
    assert str(caught.value).startswith("rules.yaml: ")
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "rules is missing; write `rules: \\[\\]`"),
        ("rule: []", 1, "no key rule; did you mean rules"),
        ("rules: {a: b}", 1, "must be a list of rules"),
        ("rules:\n- a", 2, "must hold keys with values: id, allow"),
        ("rules:\n- {}", 2, r"rules\[1\].*has no id"),
        ("rules:\n- id: replies\n  allow: a -> b", 2, "a meaning of its own"),
        ("rules:\n- id: x.fwd\n  allow: a -> b", 2, "what <-> adds"),
        ("rules:\n- id: a b\n  allow: a -> b", 2, "'a b' is no id"),
        ("rules: []\nhold_for: 8d", 2, "hold_for.*from 1s to 7d"),
        ("rules: []\nmax_hops: 9", 2, "max_hops.*from 1 to 8"),
        ("rules: []\nmax_queue: {message: 1}", 2, "did you mean messages"),
        ("rules: []\nmax_queue: {bytes: 1KiB}", 2, "from 1MiB to 1TiB"),
        (one("allow: a -> b\nlable: x"), 4, "rules.r.lable.*did you mean"),
        (one("allow: a -> b\nlabel: x"), 4, "did you mean labels"),
        (one(""), 2, "either allow or deny, as in `allow: "),
        (one("allow: a -> b\ndeny: a -> b"), 2, "either allow or deny"),
        (one("allow: a -> b kinds=x"), 3, "written as keys of the rule"),
        (one("allow: a = b"), 3, "write it as planner@dev -> reviewer@prod"),
        (one("allow: [a, b]"), 3, "must hold keys with values: from, to"),
        (one("allow: {from: a}"), 3, "neither to nor topic"),
        (one("allow: {from: a, to: b, topic: c}"), 3, "either to or topic"),
        (one("allow: {form: a, to: b}"), 3, "did you mean from"),
        (one("allow: {from: 'a?', to: b}"), 3, "no pattern of names"),
        (one("allow: {to: b, kinds: ack}\nkinds: ack"), 4, "twice, also below allow"),
        (one("allow: a -> b\nkinds: {}"), 4, "must be a list"),
        (one("allow: a -> b\nkinds: [[a]]"), 4, "a list of texts"),
        (one("allow: a -> b\nkinds: [chat]"), 4, "'chat' is no kind"),
        (one("allow: a -> b\nsize: [1]"), 4, "must be one value"),
        (one("allow: a -> b\nreplies: {most: 1}"), 4, "there are: max, within"),
        (one("allow: a -> b\nreplies: {max: 2000}"), 4, "from 0 to 1000"),
        (one("allow: a -> b\nrate: {per: rule}"), 4, "write messages: 10/min"),
        (one("allow: a -> b\nrate: {messages: 1/week}"), 4, "units: s, min, h, day"),
        (one("allow: a -> b\nredact: {}"), 4, "takes nothing out"),
        (one("allow: a -> b\nredact: {mask: [a*]}"), 4, "is no mask"),
        (one("allow: a -> b\nredact: {data: [a..b]}"), 4, "no path such as"),
        (one("allow: a -> b\nprefix: x"), 4, "prefix is for rules of topics"),
        (one("allow: a -> b\noverflow: drop_oldest"), 4, "drop_oldest is for rules"),
        (one("allow: a -> b\nhold_for: 8d"), 4, "rules.r.hold_for.*from 1s to 7d"),
        (one("allow: a -> b\ntransit: yes"), 4, "'yes' is not true or false"),
        (one("deny: a -> b\nrate: 1/s"), 4, "rate is of an allow"),
        (one("allow: a@prdo -> b"), 2, "no network prdo here.*between dev and prod"),
        (one("allow: a@x* -> b"), 2, "no network x"),
        (one("deny: {from: a@prdo}"), 2, "no network prdo"),
        (one("allow: a -> b@x*"), 2, "no network x"),
        (one("allow: '*@* -> *@far'"), 2, "needs an allow with transit: true"),
        ("max_hops: 1\n" + one("allow: '* -> *@far'\ntransit: true"), 1, "2 or more"),
        (
            TWO.format("deny: a -> b", "allow: a -> b").replace("id: s", "id: R"),
            4,
            r"the id R is there twice \(first in line 2\)",
        ),
        (
            TWO.format("allow: a <-> b", "allow: c -> d").replace("id: s", "id: r"),
            4,
            "the id r is there twice",
        ),
        (TWO.format("allow: a* -> '*'", "allow: ab -> b"), 0, ""),
    ],
)
def test_an_error_names_place_and_line_and_what_to_write(
    text: str, line: int, says: str
) -> None:
    error = refused(text)
    if not says:
        return
    assert re.search(says, str(error), re.DOTALL), str(error)
    assert error.line == line
    assert f"line {line}" in str(error)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("allow: '* -> *'", "allow: a -> b"),
        ("allow: 'a* -> b'", "allow: 'ab* -> b'"),
        ("allow: '* -> #x.**'", "allow: '* -> #x.y.*'"),
        ("allow: '* -> *'\n  kinds: [ack, reply]", "allow: 'a -> b'\n  kinds: ack"),
        ("allow: '* -> *'\n  size: ..9B", "allow: 'a -> b'\n  size: 3B..5B"),
        ("deny: '* -> *'", "allow: a -> b"),
        ("deny: '* -> *'", "allow: 'a -> #b'"),
        ("deny: '* -> *'\n  labels: [x, y]", "allow: a -> b\n  labels: [x]"),
    ],
)
def test_a_rule_that_can_never_be_reached_is_an_error(first: str, second: str) -> None:
    error = refused(TWO.format(first, second))
    assert "can never be reached: rule r" in str(error)
    assert error.line == 4 + first.count("\n")
    if first.startswith("deny"):
        error = refused(TWO.format(second, first))
        assert "can never be reached: rule s refuses all" in str(error)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("allow: 'a* -> b'", "allow: '* -> b'"),
        ("allow: '* -> *'\n  kinds: ack", "allow: a -> b"),
        ("allow: '* -> *'\n  labels: x", "allow: a -> b"),
        ("allow: '* -> *'", "allow: '*@* -> *'\n  transit: true"),
        ("allow: '* -> *'", "allow: '* <- *'"),
        ("allow: '* -> #*.x'", "allow: '* -> #x.*'"),
        ("deny: '* -> *'\n  kinds: [inform]", "allow: a -> b"),
        ("deny: '*@dev -> *@prod'", "allow: 'a -> #b'"),
    ],
)
def test_a_rule_that_something_reaches_is_not(first: str, second: str) -> None:
    assert len(parsed(TWO.format(first, second)).rules) == 2


def test_farther_networks_must_be_known_where_the_known_are_given() -> None:
    text = one("allow: '*@far -> *'\ntransit: true")
    assert parsed(text, "FAR").rules
    error = refused(text, "fra", "qa")
    assert "no network far" in str(error)
    assert "known beyond it are: fra, qa" in str(error)
    deny = "- {id: d, deny: {from: '*@far', labels: x}}"
    assert len(parsed(text + deny, "far").rules) == 3


def test_rules_of_transit_that_lead_in_a_circle_are_an_error() -> None:
    both = "allow: '*@* -> *@far'\n  transit: true"
    error = refused(TWO.format(both, both.replace("*@* -> *@far", "*@far <- *@*")))
    assert "would go round dev -> prod -> dev by the rules r (dev -> prod)" in str(
        error
    )
    assert error.line == 5


def test_errors_of_yaml_are_told_as_in_other_files() -> None:
    assert refused("rules:\n- id: a\n  id: b").line == 3
    assert "aliases" in str(refused("rules:\n- id: a\n  allow: {to: *x}"))


@given(
    st.lists(
        st.sampled_from(
            [
                "rules",
                ":",
                "\n",
                "- ",
                "  ",
                "id: a",
                "allow: ",
                "deny: ",
                "a -> b",
                "{",
                "}",
                "from: ",
                "topic: ",
                "'#x'",
                "[",
                "]",
                ",",
                "rate: ",
                "1/s",
                "redact: ",
                "5",
            ]
        )
    )
)
def test_any_soup_of_rules_is_read_or_refused_by_an_error_of_ours(
    words: list[str],
) -> None:
    with suppress(ConfigError):
        parsed("rules:\n- " + "".join(words))


# --- with the command line -----------------------------------------------------


def test_rules_of_the_command_line_join_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(one("allow: a* -> *\nmax_bytes: 1KiB"))
    rules = rulefile.build(
        ["* -> * max_bytes=2KiB"], ["* -> * labels=x"], file, "dev", "prod"
    )
    assert [rule.id for rule in rules.rules] == ["deny-1", "r", "allow-1"]
    link = rules.link("dev", "prod")
    assert link.decide(MAIL).rule == "r", "the allows of the file come first"
    assert link.decide(MAIL._replace(sender="x@dev")).rule == "allow-1"
    assert link.decide(MAIL._replace(labels=("x",))).rule == "deny-1"


def test_without_file_and_allow_the_default_holds_but_for_the_denies() -> None:
    rules = rulefile.build([], ["alice <-> bob"], None, "dev", "prod")
    assert [rule.id for rule in rules.rules][:2] == ["deny-1.fwd", "deny-1.rev"]
    link = rules.link("dev", "prod")
    assert not link.decide(MAIL).carry
    assert link.decide(MAIL._replace(to="carol@prod")).rule == "default"
    none = rulefile.build([], [], None, "dev", "prod")
    assert none.revision == Rules.default("dev", "prod").revision


def test_with_an_allow_there_is_no_default() -> None:
    rules = rulefile.build(["x <-> y"], [], None, "dev", "prod")
    assert [rule.id for rule in rules.rules] == ["allow-1.fwd", "allow-1.rev"]
    assert not rules.link("dev", "prod").decide(MAIL).carry


def test_an_error_of_the_command_line_names_the_rule() -> None:
    with pytest.raises(ConfigError) as caught:
        rulefile.build(["* -> *", "a -> b"], [], None, "dev", "prod")
    assert str(caught.value).startswith("the command line: --allow 'a -> b': can never")
    with pytest.raises(ConfigError, match="--deny 'x -> '"):
        rulefile.build([], ["x -> "], None, "dev", "prod")


@pytest.mark.parametrize("b", ["dev", "DEV", "a b"])
def test_a_bridge_is_between_two_networks(b: str) -> None:
    with pytest.raises(ConfigError, match="a bridge is between two networks"):
        rulefile.build([], [], None, "dev", b)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        rulefile.load(tmp_path / "none.yaml", "dev", "prod")


# --- what is written of them ----------------------------------------------------


def test_the_example_is_read_and_says_what_it_is_for() -> None:
    rules = rulefile.load(EXAMPLE, "dev", "prod")
    assert rules.link("dev", "prod").allows
    assert rules.link("prod", "dev").topics()
    assert EXAMPLE.read_text().startswith("# ")


def test_every_key_is_in_the_docs_and_every_example_is_read() -> None:
    page = (ROOT / "docs/bridge-rules.md").read_text()
    keys = {*rulefile.TOP, *rulefile.RULE, *rulefile.SIDES, *rulefile.REPLIES}
    keys |= {*rulefile.RATE, *rulefile.REDACT, *rulefile.QUEUE}
    marked = set(re.findall(r"`(\w+)`", page))
    assert keys <= marked
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 3
    for block in blocks:
        assert parsed(block).rules
