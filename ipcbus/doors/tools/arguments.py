"""The arguments of a call, held against the schema of its tool.

Models leave out, misname and mistype arguments, so each mistake is told in a sentence
that a model can act on. Null stands for an argument that is not there: APIs with
strict schemas have no other way to say so. So does an empty text, where one may be
left out: small models fill in whatever a schema names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ipcbus.doors.tools.tool import Schema, Tool
from ipcbus.errors import UsageError

_TYPES: Final[Mapping[str, tuple[type, str]]] = {
    "string": (str, "a text"),
    "boolean": (bool, "true or false"),
    "integer": (int, "a whole number"),
    "array": (list, "a list"),
}


def checked(tool: Tool, args: object) -> dict[str, Any]:
    """What `args` has that means something. Raises `UsageError` that says what is
    wrong."""
    if not isinstance(args, dict):
        raise UsageError(reason=f"{tool.name}: the arguments must be a JSON object")
    given = {
        name: value
        for name, value in args.items()
        if value is not None and (value != "" or name in tool.required)
    }
    for name, value in given.items():
        schema = tool.properties.get(name)
        if schema is None:
            raise UsageError(reason=_unknown(tool, name))
        given[name] = _value(f"{tool.name}: {name}", schema, value)
    for name in tool.required:
        if name not in given:
            raise UsageError(reason=f"{tool.name}: {name} is missing")
    return given


def _unknown(tool: Tool, name: str) -> str:
    from difflib import get_close_matches  # only who misnames pays

    known = ", ".join(tool.properties)
    near = get_close_matches(name, tool.properties, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it takes {known}"
    return f"{tool.name}: there is no argument {name[:40]!r}; {hint}"


def _value(where: str, schema: Schema, value: Any) -> Any:
    kind, words = _TYPES[schema["type"]]
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has one kind of number
    if kind is list and isinstance(value, str):
        value = [value]  # one, where a list of one was meant
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(reason=f"{where} must be {words}")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise UsageError(reason=f"{where} must be a list of texts")
    for text in value if isinstance(value, list) else (value,):
        if isinstance(text, str) and _has_half_letters(text):
            reason = "has half a letter (a lone surrogate), which is no text"
            raise UsageError(reason=f"{where} {reason}")
    if kind is int and not schema["minimum"] <= value <= schema["maximum"]:
        low, high = schema["minimum"], schema["maximum"]
        raise UsageError(reason=f"{where} must be {low} to {high}")
    return value


def _has_half_letters(text: str) -> bool:
    r"""JSON may have them, as in "\ud83d" of an emoji cut in two; no wire does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
