"""What rules mean, in as few lines as possible: the reference of the real ones.

Written from the words of docs/bridge-rules.md and not from the code; slow, and
obviously right.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from hypothesis import strategies as st

from ipcbus_bridges.rules import Facts, Rules, Terms, parse_short

DEV, PROD, FAR = "dev", "prod", "far"


def glob(pattern: str, text: str) -> bool:
    if pattern[:1] == "*":
        return glob(pattern[1:], text) or (text != "" and glob(pattern, text[1:]))
    if pattern == "" or text == "":
        return pattern == text
    return pattern[0] == text[0] and glob(pattern[1:], text[1:])


def topic(pattern: list[str], parts: list[str]) -> bool:
    if pattern == ["**"]:
        return True
    if not pattern or not parts:
        return pattern == parts
    return pattern[0] in ("*", parts[0]) and topic(pattern[1:], parts[1:])


class Spec(NamedTuple):
    """A rule as it is meant: `sender` and `to` are (name, network or None)."""

    allow: bool
    source: str
    sender: tuple[str, str | None]
    to: tuple[str, str | None] | str
    kinds: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priority: tuple[int, int] | None = None
    max_bytes: int | None = None
    transit: bool = False
    replies: bool = False

    @property
    def destination(self) -> str:
        return PROD if self.source == DEV else DEV

    def text(self) -> str:
        sender = _side(self.sender)
        to = f"#{self.to}" if isinstance(self.to, str) else _side(self.to)
        first = f"{sender} -> {to}" if self.source == DEV else f"{to} <- {sender}"
        words = [
            f"kinds={','.join(self.kinds)}" if self.kinds else "",
            f"labels={','.join(self.labels)}" if self.labels else "",
            f"priority={self.priority[0]}..{self.priority[1]}" if self.priority else "",
            f"max_bytes={self.max_bytes}B" if self.max_bytes else "",
            "transit" if self.transit else "",
            "replies" if self.replies else "",
        ]
        return " ".join([first, *filter(None, words)])

    def matches(self, facts: Facts) -> bool:
        usual = ("inform", "request", "reply", "ack")
        kinds = self.kinds or (usual if self.allow else (*usual, "control", "bounce"))
        low, high = self.priority or (0, 9)
        return (
            self._from(facts.sender)
            and self._to(facts.to)
            and facts.kind in kinds
            and (not self.labels or bool({*self.labels} & {*facts.labels}))
            and low <= facts.priority <= high
        )

    def _from(self, sender: str) -> bool:
        if not self.allow and self.sender == ("*", None):
            return True
        return _of(self.sender, sender, self.source)

    def _to(self, to: str) -> bool:
        if not self.allow and self.to == ("*", None):
            return True
        if isinstance(self.to, str):
            return to[0] == "#" and topic(self.to.split("."), to[1:].split("."))
        return to[0] != "#" and _of(self.to, to, self.destination)


def _side(side: tuple[str, str | None]) -> str:
    return side[0] if side[1] is None else f"{side[0]}@{side[1]}"


def _of(side: tuple[str, str | None], address: str, here: str) -> bool:
    name, network = address.lower().split("@")
    return glob(side[0].lower(), name) and glob(side[1] or here, network)


def decide(
    specs: list[Spec], facts: Facts, source: str, max_hops: int
) -> tuple[bool, int | None, str]:
    """(carried, the number of the rule that said so, status)."""
    if facts.to == "*":
        return False, None, "5.7.1"
    there = PROD if source == DEV else DEV
    mine = [(n, spec) for n, spec in enumerate(specs) if spec.source == source]
    hit = [(n, spec) for n, spec in mine if spec.matches(facts)]
    denies = [n for n, spec in hit if not spec.allow]
    if facts.granted:
        denies = [n for n in denies if specs[n].replies and facts.kind != "bounce"]
        return (False, denies[0], "5.7.1") if denies else (True, None, "")
    if denies:
        return False, denies[0], "5.7.1"
    of = facts.sender.lower().partition("@")[2]
    to = facts.to.lower().partition("@")[2] or there
    if of == there or to == source:
        return False, None, "5.4.6"
    far = facts.hops > 0 or of != source or to != there
    for n, spec in hit:
        if spec.allow and (spec.transit or not far):
            if facts.hops >= max_hops:
                return False, n, "5.4.6"
            if facts.size > (spec.max_bytes or 1024 * 1024):
                return False, n, "5.3.4"
            return True, n, ""
    return False, None, "5.4.6" if far else "5.7.1"


# --- random rules and messages, on alphabets so small that they often meet -----

NAMES = ["".join(letters) for n in (1, 2) for letters in product("aB", repeat=n)]
GLOBS = ["*", "a", "a*", "*a", "B*a", "*b*", "aB"]
KINDS = ("inform", "request", "reply", "ack", "control")


@st.composite
def specs(draw: st.DrawFn, allow: bool | None = None) -> Spec:
    allow = draw(st.booleans()) if allow is None else allow
    source = draw(st.sampled_from([DEV, PROD]))
    there = PROD if source == DEV else DEV
    name, kinds = st.sampled_from(GLOBS), st.sampled_from(KINDS)
    sender = (draw(name), draw(st.sampled_from([None, None, source, "*", FAR])))
    agent = st.tuples(name, st.sampled_from([None, None, there, "*", FAR]))
    to = draw(agent | st.sampled_from(["a", "a.*", "**", "*.b.**"]))
    return Spec(
        allow,
        source,
        sender,
        to,
        tuple(draw(st.lists(kinds, max_size=2, unique=True))),
        draw(st.sampled_from([(), (), ("x",), ("x", "y")])),
        draw(st.sampled_from([None, None, (0, 4), (5, 9)])),
        draw(st.sampled_from([None, None, 10])) if allow else None,
        draw(st.booleans()) if allow else False,
        draw(st.booleans()) if not allow else False,
    )


FACTS = st.builds(
    Facts,
    sender=st.builds(
        "{}@{}".format, st.sampled_from(NAMES), st.sampled_from([DEV, PROD, FAR, "DEV"])
    ),
    to=st.builds(
        "{}@{}".format,
        st.sampled_from(NAMES),
        st.sampled_from([DEV, PROD, PROD, FAR, "Prod"]),
    )
    | st.sampled_from(["#a", "#a.b", "#a.b.c", "#A", "*"]),
    kind=st.sampled_from([*KINDS, "bounce"]),
    priority=st.sampled_from([4, 5]),
    size=st.sampled_from([10, 11]),
    labels=st.sampled_from([(), ("x",), ("y", "z"), ("X",)]),
    hops=st.sampled_from([0, 0, 1, 2]),
    granted=st.sampled_from([False, False, False, True]),
)


def rules(given: list[Spec], max_hops: int = 2) -> Rules:
    """The real ones."""
    made = [
        rule
        for n, spec in enumerate(given)
        for rule in parse_short(
            spec.text(), allow=spec.allow, id=f"r{n}", a=DEV, b=PROD
        )
    ]
    return Rules(DEV, PROD, made, Terms(max_hops=max_hops))
