"""Our MCP server in Codex's config.toml: put in, renewed, taken out. Pure.

    [mcp_servers.ipcbus]
    command = "/usr/bin/ipcbus"
    args = ["mcp", "--network", "dev", "--as", "codex"]

`tomllib` says what a text means, and here is only found where its statements begin and
end. Each result is read again: it has to mean what the text did, but for our table. The
table is put at the end, behind an empty line, and has a last line end only if the text
had one; so what to take away is known later.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Any, Final, NamedTuple

from ipcbus.doors.install.commands import is_our_server
from ipcbus.doors.install.jsonc import BOM, Unreadable
from ipcbus.doors.install.settings import SERVER, Foreign, renewed
from ipcbus.doors.install.surgery import Misfit

TABLE: Final = ("mcp_servers", SERVER)

_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\n]*|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LAST_END: Final = re.compile(r"\r?\n\Z")


class Statement(NamedTuple):
    """A table's header or a key with its value: the lines `text[start:end]`.

    Attributes:
        path: of a header, from the root; of a key, from its table.
    """

    is_header: bool
    path: tuple[str, ...]
    start: int
    end: int


def add_server(text: str, entry: Mapping[str, Any]) -> str:
    """`text` with our MCP server. What the user added to its table is kept.

    Raises `Foreign`, `Misfit`, `Unreadable`.
    """
    old = _server(read(text))
    if old is None:
        return _checked(text, _appended(text, entry), dict(entry))
    if not is_our_server(old):
        raise Foreign(".".join(TABLE))
    new = renewed(old, entry)
    if new == old:
        return text
    stale = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    fresh = {key: value for key, value in new.items() if key in stale}
    return _checked(text, _rewritten(text, stale, fresh), new)


def remove_server(text: str) -> str:
    """`text` without our MCP server and all that is below it."""
    if not is_our_server(_server(read(text))):
        return text
    new = text
    for start, end in reversed(list(_blocks(text, TABLE))):
        new = _without(new, start, end)
    return _checked(text, new, None)


def read(text: str) -> dict[str, Any]:
    """What `text` means. Raises `Unreadable`."""
    text = text.removeprefix(BOM)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # too deep, or too many digits
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        at, reason = len(text), str(error).partition(" (at ")[0]
        if place is not None:
            lines = text.splitlines(keepends=True)[: int(place[1]) - 1]
            at = len("".join(lines)) + int(place[2]) - 1
        raise Unreadable(text, at, reason) from error


def _server(data: Mapping[str, Any]) -> Any:
    servers = data.get(TABLE[0])
    return servers.get(TABLE[1]) if isinstance(servers, dict) else None


def _checked(text: str, new: str, server: Any) -> str:
    """`new`, if it means what `text` does but for the server. Raises `Misfit`."""
    wanted = _without_server(read(text))
    try:
        found = read(new)
    except Unreadable as error:
        raise Misfit(TABLE, "a table of its own") from error
    if _server(found) != server or _without_server(found) != wanted:
        raise Misfit(TABLE, "a table of its own")
    return new


def _without_server(data: dict[str, Any]) -> dict[str, Any]:
    servers = data.get(TABLE[0])
    if not isinstance(servers, dict):
        return data
    rest = {key: value for key, value in servers.items() if key != TABLE[1]}
    others = {key: value for key, value in data.items() if key != TABLE[0]}
    return {**others, TABLE[0]: rest} if rest else others


# --- inserting ---------------------------------------------------------------


def _appended(text: str, entry: Mapping[str, Any]) -> str:
    line = _newline(text)
    block = line.join([f"[{'.'.join(TABLE)}]", *_lines(entry)])
    if not text.removeprefix(BOM):
        return text + block + line
    if text.endswith("\n"):
        return text + line + block + line
    return text + line + line + block


def _rewritten(text: str, stale: Iterable[str], fresh: Mapping[str, Any]) -> str:
    """`text` with keys of our own table taken away, and others put at its head."""
    line, has_end = _newline(text), text.endswith("\n")
    for start, end in sorted(_stale(text, stale), reverse=True):
        text = _without(text, start, end)
    header, _ = _own_table(text)
    head = text[: header.end]
    head += "" if head.endswith("\n") else line
    new = head + "".join(f"{each}{line}" for each in _lines(fresh)) + text[header.end :]
    return new if has_end else new.removesuffix(line)


def _stale(text: str, keys: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where keys of our table stand, or tables below it: Codex makes such a one of an
    `env` that was written on a line."""
    _, own = _own_table(text)
    yield from ((each.start, each.end) for each in own if each.path[0] in keys)
    for key in sorted(keys):
        yield from _blocks(text, (*TABLE, key))


def _lines(entry: Mapping[str, Any]) -> Iterator[str]:
    for key, value in entry.items():
        yield f"{_key(key)} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_lines(value)) + " }"
    # A JSON string is a TOML string, but for pairs of surrogates and for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


# --- removing ----------------------------------------------------------------


def _own_table(text: str) -> tuple[Statement, list[Statement]]:
    """The header of our table, and its keys. Raises `Misfit`."""
    found = list(_statements(text))
    for index, each in enumerate(found):
        if each.is_header and each.path == TABLE:
            return each, _keys(found[index + 1 :])
    raise Misfit(TABLE, "a table of its own")


def _blocks(text: str, table: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where `table` and those below it are."""
    found = list(_statements(text))
    for index, each in enumerate(found):
        if each.is_header and each.path[: len(table)] == table:
            yield each.start, (_keys(found[index + 1 :]) or [each])[-1].end


def _keys(statements: list[Statement]) -> list[Statement]:
    return list(takewhile(lambda each: not each.is_header, statements))


def _without(text: str, start: int, end: int) -> str:
    head, tail = text[:start], text[end:]
    # Of a file with both kinds of line ends, ours may be another than that before it.
    shorter = _LAST_END.sub("", head)
    if shorter.endswith("\n"):
        head = shorter
    if not tail and not text.endswith("\n"):
        head = _LAST_END.sub("", head)
    return head + tail


def _statements(text: str) -> Iterator[Statement]:
    """The statements of a text that `read` could read."""
    start, depth, is_blank = len(BOM) * text.startswith(BOM), 0, True
    for token in _TOKEN.finditer(text, start):
        piece, end = token[0], token.end()
        depth += (piece in "[{") - (piece in "]}")
        is_blank = is_blank and (piece[0] == "#" or not piece.strip())
        if (piece == "\n" and not depth) or end == len(text):
            if not is_blank:
                yield _statement(text, start, end)
            start, is_blank = end, True


def _statement(text: str, start: int, end: int) -> Statement:
    lines = text[start:end]
    path, value = [], tomllib.loads(lines)
    while isinstance(value, dict) and len(value) == 1:
        ((key, value),) = value.items()
        path.append(key)
    return Statement(lines.lstrip().startswith("["), tuple(path), start, end)
