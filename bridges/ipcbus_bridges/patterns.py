"""Patterns of names and of topics: what they match, exactly. PURE.

    glob    = 1*40 of A-Z a-z 0-9 "." "_" "-" "*"        "*" is any run, also of none
    pattern = topic in which a part may be "*" (one part), and the last "**" (any rest)

No regular expressions: of these two it can be decided whether a pattern covers
another, and whether several have a name in common. That is what finds a rule that can
never be reached and rules that lead in a circle, so it must be exact, not a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

MAX_NAME: Final = 32
MAX_GLOB: Final = 40
MAX_TOPIC: Final = 128
MAX_TOPIC_PARTS: Final = 8
"""Bounds of the protocol; a test compares them."""

_ALNUM: Final = "xabcdefghijklmnopqrstuvwyz0123456789"
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}\Z")
_GLOB: Final = re.compile(rf"[A-Za-z0-9*][A-Za-z0-9._*-]{{0,{MAX_GLOB - 1}}}\Z")
_PART: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


def is_name(text: str) -> bool:
    """Whether `text` can name an agent or a network; look-alike letters cannot."""
    return _NAME.match(text) is not None


class Glob:
    """A pattern of names, compared folded."""

    __slots__ = ("_pieces", "text")

    def __init__(self, text: str) -> None:
        """Raises `ValueError`."""
        if not _GLOB.match(text):
            raise ValueError(
                f"{text!r} is no pattern of names: letters, digits, '.', '_' and '-', "
                "'*' for any run of them, the first a letter, a digit or '*', "
                f"{MAX_GLOB} at most"
            )
        self.text: Final = re.sub(r"\*+", "*", text.lower())
        self._pieces: Final = tuple(self.text.split("*"))

    @property
    def literal(self) -> bool:
        return len(self._pieces) == 1

    def matches(self, name: str) -> bool:
        """Whether `name`, a folded name, is one of these."""
        if self.literal:
            return name == self.text
        first, *middle, last = self._pieces
        end = len(name) - len(last)
        if not (name.startswith(first) and name.endswith(last) and len(first) <= end):
            return False
        at = len(first)
        for piece in middle:  # the first place where it fits is as good as any
            found = name.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    # As an automaton: a state is the set of places that reading may have come to.

    def start(self) -> frozenset[int]:
        return self._settled({0})

    def step(self, state: frozenset[int], letter: str) -> frozenset[int]:
        text, places = self.text, set()
        for place in state:
            if place < len(text):
                if text[place] == "*":
                    places.add(place)
                elif text[place] == letter:
                    places.add(place + 1)
        return self._settled(places)

    def accepts(self, state: frozenset[int]) -> bool:
        return len(self.text) in state

    def _settled(self, places: set[int]) -> frozenset[int]:
        stars = {place for place in places if self.text[place : place + 1] == "*"}
        places |= {place + 1 for place in stars}
        # Whoever stands at a star can do all that those behind it can.
        return frozenset(p for p in places if p >= max(stars, default=0))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Glob({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


ANY: Final = Glob("*")


def covers(big: Glob, small: Glob) -> bool:
    """Whether every name that `small` matches is one that `big` matches."""
    if big in (ANY, small):
        return True
    if small.literal:
        return not is_name(small.text) or big.matches(small.text)
    # A letter that `big` lacks can only be of its stars, and what they take they take
    # whatever it is: so one name stands for all, if there is such a letter and room.
    strange = next((letter for letter in _ALNUM if letter not in big.text), "")
    name = small.text.replace("*", strange)
    if strange and is_name(name):
        return big.matches(name)
    return next(_names((small,), but=big), None) is None


def in_common(globs: Iterable[Glob], without: Iterable[str] = ()) -> str | None:
    """A name that all of `globs` match and `without` does not hold; None if none."""
    together = tuple(dict.fromkeys(globs))
    out = frozenset(without)
    for one in together:
        if one.literal:
            fits = is_name(one.text) and all(g.matches(one.text) for g in together)
            return one.text if fits and one.text not in out else None
    return next((n for n in _names(together, ways=len(out) + 1) if n not in out), None)


def _names(
    globs: tuple[Glob, ...], *, but: Glob | None = None, ways: int = 1
) -> Iterator[str]:
    """Names that all of `globs` match and `but` does not, the shortest first.

    All automatons read in step. Each is deterministic, so a state need not be gone
    through more often than names are wanted.
    """
    machines = globs if but is None else (*globs, but)
    used = {letter for glob in machines for letter in glob.text} - {"*"}
    letters = sorted(used | set([c for c in _ALNUM if c not in used][:1]))
    seen: dict[tuple[frozenset[int], ...], int] = {}
    front = [("", tuple(machine.start() for machine in machines))]
    for _ in range(MAX_NAME):
        wider = []
        for (word, states), letter in product(front, letters):
            after = tuple(
                m.step(s, letter) for m, s in zip(machines, states, strict=True)
            )
            alive = all(after[: len(globs)]) and (word or letter.isalnum())
            if not alive or seen.get(after, 0) >= ways:
                continue
            seen[after] = seen.get(after, 0) + 1
            wider.append((word + letter, after))
            if all(g.accepts(s) for g, s in zip(globs, after, strict=False)) and not (
                but is not None and but.accepts(after[-1])
            ):
                yield word + letter
        front = wider


class Side(NamedTuple):
    """Agents: their names and the networks that they are of."""

    name: Glob
    network: Glob

    def matches(self, name: str, network: str) -> bool:
        return self.name.matches(name) and self.network.matches(network)

    def covers(self, other: Side) -> bool:
        return covers(self.name, other.name) and covers(self.network, other.network)

    def __str__(self) -> str:
        return f"{self.name}@{self.network}"


EVERYBODY: Final = Side(ANY, ANY)


class Topics(NamedTuple):
    """A pattern of topics, by its parts. Case counts, as it does in topics."""

    parts: tuple[str, ...]
    rest: bool
    """Whether it ended in `**`, which `parts` lacks."""

    @classmethod
    def of(cls, text: str) -> Topics:
        """What `text` spells, without its `#`. Raises `ValueError`."""
        parts = text.split(".")
        rest = parts[-1] == "**"
        if (
            len(text) > MAX_TOPIC
            or len(parts) > MAX_TOPIC_PARTS
            or not all(p == "*" or _PART.match(p) for p in parts[: len(parts) - rest])
        ):
            raise ValueError(
                f"'#{text}' is no pattern of topics: at most {MAX_TOPIC_PARTS} parts "
                "of letters, digits, '_' and '-' joined by '.'; '*' is one part, "
                "a last '**' any rest"
            )
        return cls(tuple(parts[: len(parts) - rest]), rest)

    def matches(self, topic: str) -> bool:
        """Whether `topic`, without its `#`, is one of these."""
        given = topic.split(".")
        return (
            is_topic(topic)
            and (len(given) == len(self.parts) or self.rest)
            and len(given) >= len(self.parts)
            and all(p in ("*", g) for p, g in zip(self.parts, given, strict=False))
        )

    def covers(self, other: Topics) -> bool:
        """Whether every topic that `other` matches is one of these."""
        if not self.rest:
            if other.rest or len(self.parts) != len(other.parts):
                return False
        elif len(self.parts) > max(1, len(other.parts)):  # a topic has one at least
            return False
        theirs = (*other.parts, *("*" for _ in self.parts))
        return all(p in ("*", o) for p, o in zip(self.parts, theirs, strict=False))

    def below(self, prefix: Sequence[str]) -> Topics | None:
        """The topics that are one of these once `prefix` stands before them."""
        head = self.parts[: len(prefix)]
        if not all(p in ("*", given) for p, given in zip(head, prefix, strict=False)):
            return None
        if len(self.parts) <= len(prefix):
            return Topics((), True) if self.rest else None
        return Topics(self.parts[len(prefix) :], self.rest)

    def __str__(self) -> str:
        return ".".join([*self.parts, "**"] if self.rest else self.parts)


ALL_TOPICS: Final = Topics((), True)


def is_topic(text: str) -> bool:
    parts = text.split(".")
    return (
        len(text) <= MAX_TOPIC
        and len(parts) <= MAX_TOPIC_PARTS
        and all(_PART.match(part) for part in parts)
    )


def topic_in_common(patterns: Iterable[Topics]) -> str | None:
    """A topic that all of `patterns` match; None if there is none."""
    together = list(patterns)
    length = max([1, *(len(pattern.parts) for pattern in together)])
    if any(not p.rest and len(p.parts) != length for p in together):
        return None
    found: list[str] = []
    for place in range(length):
        wanted = {p.parts[place] for p in together if place < len(p.parts)} - {"*"}
        if len(wanted) > 1:
            return None
        found += wanted or {"x"}
    topic = ".".join(found)
    return topic if is_topic(topic) else None
