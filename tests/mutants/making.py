"""The mutants of a file: one small change each.

Left alone is what no test should speak of: annotations, decorators, asserts, the words
of an error, and outside of functions all but numbers and truths.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from itertools import accumulate
from typing import Final, NamedTuple

from tests.mutants.operators import Node, Operator, Place, all_operators

QUIET: Final = frozenset({"__repr__", "__str__", "check_invariants"})
"""Functions for people, and those that only watch over the others."""

NOISE: Final = frozenset({"decorator", "decorators", "assert_stmt", "fstring"})

CONSTANTS: Final = frozenset({"number", "keyword"})
"""All that is changed outside of functions."""


class Mutant(NamedTuple):
    """`text[start:end]` of the file becomes `instead`."""

    file: str
    function: str
    """`Class.method`, or nothing outside of all functions."""
    lines: tuple[int, int]
    """The first and the last of the statement; of one with a body, of its head."""
    start: int
    end: int
    instead: str

    def plant(self, text: str) -> str:
        return text[: self.start] + self.instead + text[self.end :]

    def diff(self, text: str) -> tuple[str, str]:
        """The changed lines before and after, without what is equal around them."""
        before, after = text.splitlines(), self.plant(text).splitlines()
        while before and after and before[0] == after[0]:
            del before[0], after[0]
        while before and after and before[-1] == after[-1]:
            del before[-1], after[-1]
        return _joined(before), _joined(after)


def mutants(file: str, text: str) -> list[Mutant]:
    """All of a file, by their place; of those with the same text, one."""
    tree = import_module("parso").parse(text)
    starts = [0, *accumulate(map(len, text.splitlines(keepends=True)))]
    operators = all_operators()
    found: set[Mutant] = set()
    for node in _nodes(tree):
        for operator in operators:
            for place, instead in _changes(operator, node):
                line, column = node.get_start_pos_of_prefix()
                start = starts[line - 1] + column
                end = starts[node.end_pos[0] - 1] + node.end_pos[1]
                where = _span(node, place)
                wide = Mutant(file, _function(node), where, start, end, instead)
                found.add(_narrow(wide, text))
    alive = [mutant for mutant in found if _is_code(mutant.plant(text))]
    return sorted(alive, key=lambda mutant: (mutant.start, mutant.end, mutant.instead))


def _nodes(node: Node) -> Iterator[Node]:
    """All that may be changed."""
    if node.type in NOISE or _is_annotation(node) or _is_strictness(node):
        return
    if node.type == "funcdef" and node.name.value in QUIET:
        return
    yield node
    if node.type == "raise_stmt":
        return  # to leave it out is enough: its words are for people
    for child in getattr(node, "children", ()):
        yield from _nodes(child)


def _is_annotation(node: Node) -> bool:
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "funcdef":
        return node is parent.annotation
    colon = node.get_previous_sibling()
    after_a_colon = (
        colon is not None and colon.type == "operator" and colon.value == ":"
    )
    return bool(after_a_colon and parent.type in ("tfpdef", "annassign"))


def _is_strictness(node: Node) -> bool:
    """The `strict=True` of a zip, which is an assert."""
    named = node.type == "argument" and node.children[0].get_code().strip()
    return bool(named == "strict")


def _changes(operator: Operator, node: Node) -> Iterator[tuple[Place, str]]:
    if not _function(node) and node.type not in CONSTANTS:
        return
    for index, place in enumerate(operator.mutation_positions(node)):
        alone = copy.deepcopy(node, {id(node.parent): node.parent})
        with suppress(AttributeError):  # cosmic-ray: `except a.B` has no one name
            yield place, operator.mutate(alone, index).get_code()


def _function(node: Node) -> str:
    names: list[str] = []
    inside = False
    at = node
    while at.parent is not None:
        at = at.parent
        if at.type in ("funcdef", "classdef"):
            names.append(at.name.value)
            inside = inside or at.type == "funcdef"
    return ".".join(reversed(names)) if inside else ""


def _span(node: Node, place: Place) -> tuple[int, int]:
    """The lines of which at least one is passed by whatever runs what is changed."""
    at = node
    while at.parent is not None and at.type != "simple_stmt":
        at = at.parent
        if at.type == "simple_stmt":
            return at.start_pos[0], at.end_pos[0]
        if at.type.endswith(("_stmt", "funcdef")):
            break
    return place[0][0], place[1][0]


def _narrow(mutant: Mutant, text: str) -> Mutant:
    old, new = text[mutant.start : mutant.end], mutant.instead
    head = _alike(old, new)
    old, new = old[head:], new[head:]
    tail = _alike(old[::-1], new[::-1])
    start, end = mutant.start + head, mutant.end - tail
    return mutant._replace(start=start, end=end, instead=new[: len(new) - tail])


def _alike(one: str, other: str) -> int:
    """How many letters of both are the same from the first on."""
    pairs = enumerate(zip(one, other, strict=False))
    shorter = min(len(one), len(other))
    return next((at for at, (a, b) in pairs if a != b), shorter)


def _is_code(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)
