"""Cutting and inserting in the text of JSON with comments. Pure.

Each function takes a text and returns a text in which nothing but the one entry
differs, and `remove` gives back exactly the text that `put` and `append` were given:

- An entry is inserted after the last one, behind a comment on that one's line. It gets
  a comma of its own only if the last one had one. So the comma to take away with it
  is known later: its own, or else the one before it.
- White space is inserted only before an entry, so all that stands there is ours.
- An empty container is filled, and a missing one made, with line breaks. Which of the
  two it was cannot be seen later: `remove` is given the text from before, which is
  empty if there was no file.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from ipcbus.doors.install import jsonc
from ipcbus.doors.install.jsonc import Child, Path, Value

_SAME_LINE: Final = re.compile(r"(?:[ \t]*/\*[^\r\n]*?\*/)*(?:[ \t]*//[^\r\n]*)?")
_COMMENT: Final = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_WHITE: Final = " \t\r\n"


class Misfit(ValueError):
    """A value on the way is of another kind than ours needs."""

    def __init__(self, path: Path, wanted: str) -> None:
        self.path = path
        super().__init__(f"{'.'.join(map(str, path)) or 'the file'} is not {wanted}")


def put(text: str, path: tuple[str, ...], value: Any) -> str:
    """Add the member at `path`, which is not there; objects on the way are made."""
    here = jsonc.parse(text)
    for depth, key in enumerate(path):
        if here.opening != "{":
            raise Misfit(path[:depth], "an object")
        child = jsonc.child_at(here, key)
        if child is None:
            for outer in reversed(path[depth + 1 :]):
                value = {outer: value}
            return _insert(text, here, key, value)
        here = child.value
    raise AssertionError(f"{path} is there already")


def append(text: str, path: tuple[str, ...], item: Any) -> str:
    """Add `item` to the array at `path`, which is made if it is missing."""
    array = jsonc.find(jsonc.parse(text), path)
    if array is None:
        return put(text, path, [item])
    if array.opening != "[":
        raise Misfit(path, "a list")
    return _insert(text, array, None, item)


def replace(text: str, value: Value, new: Any) -> str:
    """Write `new` in the place of `value`."""
    style = _style(text, value.start)
    return text[: value.start] + style.write(new) + text[value.end :]


def remove(text: str, path: Path, before: str) -> str:
    """Take away the member or item at `path`.

    A container that is empty then is put back as it was in `before`, or taken away as
    well if `before` did not have it and no comment is in it.
    """
    container = jsonc.find(jsonc.parse(text), path[:-1])
    assert container is not None
    child = jsonc.child_at(container, path[-1])
    assert child is not None
    text = _cut(text, container, container.children.index(child))
    if len(container.children) > 1:
        return text
    return _emptied(text, path[:-1], before)


def is_blank(text: str) -> bool:
    """Whether it holds nothing, not even a value."""
    return not text.removeprefix(jsonc.BOM).strip(_WHITE)


def is_bare(text: str) -> bool:
    """Whether `text` is an empty object without a comment."""
    root = jsonc.parse(text)
    return root.opening == "{" and not text[root.start + 1 : root.end - 1].strip(_WHITE)


# --- inserting ---------------------------------------------------------------


class _Style(NamedTuple):
    """How what surrounds a place is written.

    Attributes:
        indent: white space at the beginning of its line.
        unit: how much deeper the next level is; None to write on one line.
    """

    newline: str
    indent: str
    unit: str | None

    def write(self, value: Any) -> str:
        if self.unit is None:
            return json.dumps(value)
        lines = json.dumps(value, indent=self.unit).split("\n")
        return f"{self.newline}{self.indent}".join(lines)


def _insert(text: str, container: Value, key: str | None, value: Any) -> str:
    if not container.children:
        return _fill(text, container, key, value)
    last = container.children[-1]
    after = last.end if last.comma is None else last.comma + 1
    same_line = _SAME_LINE.match(text, after)
    assert same_line is not None  # it matches the empty text
    point = same_line.end()
    style = _style(text, last.start)
    own_line = _begins_line(text, last.start)
    gap = style.newline + style.indent if own_line or "//" in same_line[0] else " "
    own_comma, its_comma = ("", ",") if last.comma is None else (",", "")
    entry = _entry(key, value, style if own_line else style._replace(unit=None))
    kept = text[last.end : point]
    return f"{text[: last.end]}{its_comma}{kept}{gap}{entry}{own_comma}{text[point:]}"


def _fill(text: str, container: Value, key: str | None, value: Any) -> str:
    """Insert into a container that is empty but for white space and comments."""
    kept = text[container.start + 1 : container.end - 1].rstrip(_WHITE)
    style = _style(text, container.start)
    head, tail = text[: container.start + 1] + kept, text[container.end - 1 :]
    if "\n" not in text.rstrip(_WHITE) and container.start > _first(text):
        entry = _entry(key, value, style._replace(unit=None))
        return f"{head}{' ' if kept else ''}{entry}{tail}"
    assert style.unit is not None
    inner = style._replace(indent=style.indent + style.unit)
    entry = _entry(key, value, inner)
    line = style.newline
    return f"{head}{line}{inner.indent}{entry}{line}{style.indent}{tail}"


def _entry(key: str | None, value: Any, style: _Style) -> str:
    return style.write(value) if key is None else f'"{key}": {style.write(value)}'


def _style(text: str, at: int) -> _Style:
    line = text[text.rfind("\n", 0, at) + 1 : at].removeprefix(jsonc.BOM)
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    newline = "\r\n" if "\r\n" in text else "\n"
    if "\n" not in text.rstrip(_WHITE) and at > _first(text):
        return _Style(newline, indent, None)
    return _Style(newline, indent, _unit(text))


def _unit(text: str) -> str:
    """One level of indentation: that of the first member, if it has a line."""
    root = jsonc.parse(text)
    for child in root.children[:1]:
        if _begins_line(text, child.start):
            start = text.rfind("\n", 0, child.start) + 1
            return text[start : child.start] or "  "
    return "  "


def _begins_line(text: str, at: int) -> bool:
    start = text.rfind("\n", 0, at) + 1
    return start > 0 and not text[start:at].strip(" \t")


def _first(text: str) -> int:
    return jsonc.parse(text).start


# --- removing ----------------------------------------------------------------


def _cut(text: str, container: Value, index: int) -> str:
    """`text` without one child, and without what was inserted along with it."""
    child = container.children[index]
    previous = container.children[index - 1] if index else None
    start = _gap_before(text, container, previous, child)
    if child.comma is not None:
        return text[:start] + text[child.comma + 1 :]
    head = text[:start]
    if previous is not None:
        assert previous.comma is not None  # else nothing could follow it
        head = text[: previous.comma] + text[previous.comma + 1 : start]
    return head + text[child.end :]


def _gap_before(
    text: str, container: Value, previous: Child | None, child: Child
) -> int:
    """Where the white space before `child` begins. That which ends the line of a
    comment is left, if what comes after would be part of the comment without it."""
    first = container.start + 1
    if previous is not None:
        first = previous.end if previous.comma is None else previous.comma + 1
    between = text[first : child.start]
    comments = list(_COMMENT.finditer(between))
    # White space at the end of a line is part of a comment that stands there.
    start = first + (comments[-1].end() if comments else 0)
    after = child.end if child.comma is None else child.comma + 1
    swallows = bool(comments) and comments[-1][0].startswith("//")
    if swallows and text[after : after + 1] not in ("\r", "\n"):
        return start + (2 if text.startswith("\r\n", start) else 1)
    return start


def _emptied(text: str, path: Path, before: str) -> str:
    """Treat the container at `path`, whose last child was taken away."""
    container = jsonc.find(jsonc.parse(text), path)
    assert container is not None
    was = None if is_blank(before) else jsonc.find(jsonc.parse(before), path)
    inside = text[container.start + 1 : container.end - 1]
    head, tail = text[: container.start + 1], text[container.end - 1 :]
    if was is not None and not was.children and was.opening == container.opening:
        wanted = before[was.start + 1 : was.end - 1]
        if wanted.strip(_WHITE) == inside.strip(_WHITE):
            return head + wanted + tail
    if inside.strip(_WHITE):
        return text  # somebody's comment
    if was is None and path:
        return remove(text, path, before)
    return head + tail
