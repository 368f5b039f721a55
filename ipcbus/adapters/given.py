"""What a user gave an adapter: read, and refused where it would be ignored.

An option that is silently left out is found weeks later, by its price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from ipcbus.adapters.base import Options
from ipcbus.errors import UsageError


def only(
    adapter: str,
    options: Options,
    known: Iterable[str] = (),
    *,
    uses: Iterable[str] = (),
) -> None:
    """Refuse all of `options` that `adapter` has no use for.

    `known` are the names in `extra` that it reads; one that ends in `*` stands for all
    that begin so. `uses` are those of `model`, `base_url` and `command` that it reads.
    Raises `UsageError`.
    """
    for name in ("model", "base_url", "command"):
        if getattr(options, name) and name not in uses:
            raise UsageError(reason=f"{adapter} takes no {name.replace('_', '-')}")
    names = tuple(known)
    for name in options.extra:
        if not any(_is_of(name, one) for one in names):
            raise UsageError(reason=_unknown(adapter, name, names))


def _is_of(name: str, known: str) -> bool:
    prefix = known.removesuffix("*")
    return name == known or (prefix != known and name.startswith(prefix))


def _unknown(adapter: str, name: str, known: tuple[str, ...]) -> str:
    said = f"{adapter} has no option {name!r}"
    if near := get_close_matches(name, known, 1, 0.6):
        return f"{said}; did you mean {near[0]}?"
    return f"{said}; it has: {', '.join(known)}" if known else said


def text(options: Options, name: str, default: str = "") -> str:
    """An option as text; a file may have given a number for it."""
    value: Any = options.extra.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(reason=f"the option {name} must be text, not {value!r}")
    return str(value)


def choice(options: Options, name: str, words: tuple[str, ...]) -> str:
    """An option that is one of `words`, the first of them if it is not given."""
    value = text(options, name, words[0])
    if value not in words:
        raise UsageError(
            reason=f"the option {name} must be {' or '.join(words)}, not {value!r}"
        )
    return value


# --- one value, as text of a command line or as a file has it ---------------

Read = Callable[[Any], Any]
"""Reads an option; `ValueError` says what it must be."""


def number(low: float, high: float) -> Read:
    def read(value: Any) -> float:
        try:
            found = float("nan" if isinstance(value, bool) else value)
        except (TypeError, ValueError):
            found = float("nan")
        if not low <= found <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return found

    return read


def whole(low: int, high: int) -> Read:
    def read(value: Any) -> int:
        text = "" if isinstance(value, bool) else str(value)
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def one_of(*allowed: str) -> Read:
    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return str(value)

    return read


def flag(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def variable(value: Any) -> str:
    if not (isinstance(value, str) and value.isidentifier()):
        raise ValueError("the name of a variable")
    return value
