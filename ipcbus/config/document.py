"""YAML, but only what a configuration needs, and each value with its line.

Read as text and structure only: YAML 1.1 would make `22:22` the number 1342, `no`
false and `0123` 83, let a second key of one name win silently, and expand 380 bytes
of aliases to a hundred million leaves. Here keys and values stay as they are
written, until the field that they are for says what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from ipcbus.errors import ConfigError

MAX_FILE: Final = 64 * 1024
MAX_DEPTH: Final = 8

_TAG: Final = "tag:yaml.org,2002:"


class Item(NamedTuple):
    """A value with the place it stands.

    Attributes:
        value: text, or items by key, or items; None where nothing was written.
        quoted: whether text was in quotes, so that "80" is not the number 80.
    """

    value: str | Mapping[str, Item] | list[Item] | None
    line: int
    quoted: bool = False


def read(path: Path) -> Item:
    """What `path` holds. Raises `ConfigError`."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise _wrong(file, 0, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise _wrong(file, 0, f"is longer than {MAX_FILE} bytes")
    return parse(data, file)


def parse(data: bytes, file: str) -> Item:
    """What `data` holds; `file` is for the errors. Raises `ConfigError`."""
    try:
        node = _Composer(data.decode("utf-8")).get_single_node()
    except UnicodeDecodeError as error:
        raise _wrong(file, 0, "is not UTF-8 text") from error
    except _Refused as error:
        reason, line = error.args
        raise _wrong(file, line + 1, reason) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise _wrong(file, line, f"is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise _wrong(file, 0, "is not YAML: it holds control characters") from error
    except (ValueError, OverflowError) as error:
        # The scanner lets such pass: \UFFFFFFFF, a %YAML version of 5000 digits.
        reason = "is not YAML: a number or an escape in it is too large"
        raise _wrong(file, 0, reason) from error
    return Item(None, 1) if node is None else _item(node, file)


class _Composer(yaml.SafeLoader):
    """Composes nodes and never constructs; refuses aliases and depth on the way."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("aliases (*name) are not taken", line)
        if self.depth >= MAX_DEPTH:
            raise _Refused(f"nested deeper than {MAX_DEPTH}", line)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Refused(Exception):
    """It is YAML, but not what we take: a reason and a line counted from 0."""


def _item(node: yaml.Node, file: str) -> Item:
    line = node.start_mark.line + 1
    if not node.tag.startswith(_TAG) or node.tag.startswith(_TAG + "python"):
        raise _wrong(file, line, f"the tag {node.tag} is not taken")
    if isinstance(node, yaml.MappingNode):
        return Item(_mapping(node, file), line)
    if isinstance(node, yaml.SequenceNode):
        return Item([_item(child, file) for child in node.value], line)
    assert isinstance(node, yaml.ScalarNode)
    if not _is_text(node.value):
        raise _wrong(file, line, "half of a surrogate pair is no text")
    quoted = node.style is not None
    if not quoted and node.tag == _TAG + "null":
        return Item(None, line)
    return Item(node.value, line, quoted)


def _mapping(node: yaml.MappingNode, file: str) -> Mapping[str, Item]:
    found: dict[str, Item] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not _is_text(key.value):
            raise _wrong(file, line, "a key must be a name")
        if key.value in found:
            raise _wrong(
                file,
                line,
                f"the key {key.value!r} is there twice "
                f"(first in line {found[key.value].line})",
            )
        found[key.value] = _item(value, file)
    return found


def _is_text(value: str) -> bool:
    """Whether it can be written anywhere: an escape can spell half of a letter."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _wrong(file: str, line: int, reason: str) -> ConfigError:
    where = f"line {line}" if line else "the file"
    return ConfigError(file=file, path=where, reason=reason, line=line)
