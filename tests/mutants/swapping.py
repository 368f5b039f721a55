"""Planting a mutant in modules that are imported already.

To import all anew for each mutant would cost a second each time. So the code of the
functions that a mutant changes is put into the function objects that there are. That is
not all: what is made once at import (constants, defaults, tables, bases) stays as it
was, so such mutants are tried in a process of their own.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Final

Key = tuple[str, int]
"""Qualified name and first line of a function; a file has no two that are equal."""

SHAPE: Final = (
    "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags",
    "co_argcount", "co_exceptiontable",
)  # fmt: skip


class CannotSwap(Exception):
    """The mutant changes more than what happens in functions."""


def functions(path: str) -> dict[Key, list[FunctionType]]:
    """All functions of a file that live in this process."""
    found: dict[Key, list[FunctionType]] = {}
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename == path:
            found.setdefault(_key(thing.__code__), []).append(thing)
    return found


def swap(
    alive: Mapping[Key, list[FunctionType]], path: str, before: str, after: str
) -> None:
    """Let the functions of a file do what the text `after` says."""
    changed = list(_differences(_read(before, path), _read(after, path)))
    if not any(_key(old) in alive for old, _ in changed):
        raise CannotSwap
    for old, new in changed:
        for function in alive.get(_key(old), ()):
            try:
                function.__code__ = new
            except ValueError as error:  # it closes over other names
                raise CannotSwap from error


def _read(text: str, path: str) -> CodeType:
    return compile(text, path, "exec", dont_inherit=True)


def _differences(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Pairs of functions that differ, those around them first."""
    inner = list(zip(_codes(old), _codes(new), strict=False))
    if _shape(old) != _shape(new) or len(_codes(old)) != len(_codes(new)):
        if not old.co_flags & inspect.CO_OPTIMIZED:
            raise CannotSwap  # the body of a module or a class
        yield old, new
    elif any(_differs(*pair) for pair in inner) and old.co_flags & inspect.CO_OPTIMIZED:
        yield old, new
    for pair in inner:
        yield from _differences(*pair)


def _differs(old: CodeType, new: CodeType) -> bool:
    inner = zip(_codes(old), _codes(new), strict=False)
    return _shape(old) != _shape(new) or any(_differs(*pair) for pair in inner)


def _shape(code: CodeType) -> tuple[object, ...]:
    values = [(type(c), c) for c in code.co_consts if not isinstance(c, CodeType)]
    return (*(getattr(code, name) for name in SHAPE), values)


def _codes(code: CodeType) -> list[CodeType]:
    return [const for const in code.co_consts if isinstance(const, CodeType)]


def _key(code: CodeType) -> Key:
    return code.co_qualname, code.co_firstlineno
