"""What is changed: operators of cosmic-ray, and some of our own in the same form.

Of cosmic-ray's there are those whose mutants somebody could have written by mistake:
one comparison and its neighbours, not all seven others. Ours are for what state
machines are made of: a step that is left out, a membership, a condition, a predicate.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol

Node = Any
"""A node of parso, which cosmic-ray reads code with."""

Place = tuple[tuple[int, int], tuple[int, int]]
"""Line and column of its begin and its end."""

COMPARISONS: Final = (
    "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt",
    "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is",
)  # fmt: skip

BINARY: Final = (
    "Add_Sub", "Sub_Add", "Mul_FloorDiv", "Div_Mul", "FloorDiv_Mul", "Mod_Mul",
    "BitOr_BitAnd", "BitAnd_BitOr", "LShift_RShift", "RShift_LShift",
)  # fmt: skip

CHOSEN: Final = (
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARISONS),
    *(f"ReplaceBinaryOperator_{name}" for name in BINARY),
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "ZeroIterationForLoop",
)


PLAIN: Final = frozenset({"name", "atom_expr", "power"})

FAR: Final = 100


class Operator(Protocol):
    """As cosmic-ray has it: where it can change a node, and the node changed."""

    def mutation_positions(self, node: Node) -> Iterable[Place]: ...

    def mutate(self, node: Node, index: int) -> Node: ...


class DropStatement:
    """A step that is left out: a call, a change of state, a raise, a bare return.

    What gives a local name its first value stays: without it nothing runs at all.
    """

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        if node.type == "simple_stmt" and _matters(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Node, index: int) -> Node:
        step = node.children[0]
        prefix = step.get_first_leaf().prefix
        node.children[0] = _tree().Name("pass", step.start_pos, prefix)
        return node


class SwapIn:
    """`in` for `not in`, and the other way."""

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        if node.type == "comparison" and _words(node) in ("in", "not in"):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Node, index: int) -> Node:
        other = {"in": " not in", "not in": " in"}[_words(node)]
        node.children[1] = _tree().Name(other, node.children[1].start_pos)
        return node


class NegateCondition:
    """A condition that is not made of others: those have operators of their own."""

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        if node.type in PLAIN and _is_condition(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Node, index: int) -> Node:
        prefix = node.get_first_leaf().prefix
        text = f"not ({node.get_code().strip()})"
        return _tree().Name(text, node.start_pos, prefix)


class NearNumber:
    """One more and one less. What is far from nothing is a bound or a unit, and no
    test should tell a thousand from a thousand and one."""

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        if node.type == "number" and abs(ast.literal_eval(node.value)) < FAR:
            yield from [(node.start_pos, node.end_pos)] * 2

    def mutate(self, node: Node, index: int) -> Node:
        near = ast.literal_eval(node.value) + (1, -1)[index]
        return _tree().Number(str(near), node.start_pos, node.prefix)


class NegateAnswer:
    """A predicate that says the opposite."""

    def mutation_positions(self, node: Node) -> Iterator[Place]:
        if node.type == "return_stmt" and _is_predicate(node):
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Node, index: int) -> Node:
        said = node.children[1]
        text = f" not ({said.get_code().strip()})"
        node.children[1] = _tree().Name(text, said.start_pos)
        return node


def is_there() -> bool:
    """Whether cosmic-ray is installed: `pip install '.[dev]'`."""
    return find_spec("cosmic_ray") is not None


def all_operators() -> list[Operator]:
    provider = import_module("cosmic_ray.operators.provider").OperatorProvider()
    chosen: list[Operator] = [provider[name]() for name in CHOSEN]
    own = (DropStatement, SwapIn, NegateCondition, NearNumber, NegateAnswer)
    return [*chosen, *(kind() for kind in own)]


def _tree() -> Any:
    return import_module("parso.python.tree")


def _matters(step: Node) -> bool:
    if step.type == "expr_stmt":
        target, sign = step.children[0], step.children[1]
        augmented = sign.type in ("operator", "augassign") and sign.value != "="
        return augmented or target.type in ("atom_expr", "power")
    if step.type in ("raise_stmt", "del_stmt"):
        return True
    if step.type == "keyword":
        return bool(step.value == "return")
    return step.type in ("atom_expr", "power", "await_expr")


def _words(node: Node) -> str:
    return " ".join(node.children[1].get_code().split())


def _is_predicate(node: Node) -> bool:
    """It says yes or no, and not by a comparison, which others change."""
    function = node.search_ancestor("funcdef")
    if function is None or function.annotation is None:
        return False
    says = function.annotation.get_code().strip()
    return says == "bool" and node.children[1].type in PLAIN


def _is_condition(node: Node) -> bool:
    parent = node.parent
    if parent.type in ("and_test", "or_test"):
        return True
    before = node.get_previous_sibling()
    return (
        before is not None
        and before.type == "keyword"
        and (before.value in ("elif", "while", "if"))
    )
