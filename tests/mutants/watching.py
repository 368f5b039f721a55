"""Which lines of a file a test passes, at the cost of one call for each statement.

To trace would slow down all of the program and not just the file. So its modules are
imported with a mark before every statement of a function; where the lines are stays
the same.
"""

from __future__ import annotations

import ast
import builtins
from types import CodeType
from typing import Final

MARK: Final = "__passed__"


class Watch:
    """The lines of a file that have been passed since the last `take`."""

    def __init__(self, text: str, path: str) -> None:
        tree = ast.parse(text)
        self._spans: dict[int, range] = {}
        for head, statements in _bodies(tree):
            marked = [self._marked(one, head) for one in statements]
            statements[:] = [one for pair in marked for one in pair]
        self.code: CodeType = compile(
            ast.fix_missing_locations(tree), path, "exec", dont_inherit=True
        )
        self._passed: set[int] = set()
        setattr(builtins, MARK, self._passed.add)

    def take(self) -> frozenset[int]:
        """All lines of the statements; of those with a body, of their head."""
        lines = {line for at in self._passed for line in self._spans[at]}
        self._passed.clear()
        return frozenset(lines)

    def _marked(self, one: ast.stmt, head: int) -> list[ast.stmt]:
        """With its mark. `head`: the line of the handler or case that it is of."""
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
            return [one]  # a docstring must stay the first
        end = one.end_lineno or one.lineno
        body = getattr(one, "body", None) or getattr(one, "cases", None)
        if body:
            first = body[0].pattern if isinstance(one, ast.Match) else body[0]
            end = max(one.lineno, first.lineno - 1)
        begin = min(one.lineno, head or one.lineno)
        known = self._spans.get(one.lineno, range(begin, end + 1))
        self._spans[one.lineno] = range(
            min(begin, known.start), max(end + 1, known.stop)
        )
        mark = ast.parse(f"{MARK}({one.lineno})").body[0]
        return [ast.copy_location(mark, one), one]


def _bodies(tree: ast.Module) -> list[tuple[int, list[ast.stmt]]]:
    """All lists of statements within functions, each once, and the line of the handler
    or the case that one is of; 0 for others."""
    found: dict[int, tuple[int, list[ast.stmt]]] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                for _, value in ast.iter_fields(node):
                    if isinstance(value, list) and isinstance(_first(value), ast.stmt):
                        found[id(value)] = _head(node), value
    return list(found.values())


def _head(node: ast.AST) -> int:
    if isinstance(node, ast.ExceptHandler):
        return node.lineno
    return node.pattern.lineno if isinstance(node, ast.match_case) else 0


def _first(values: list[object]) -> object:
    return values[0] if values else None
