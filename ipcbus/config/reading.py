"""Going through what a file holds, and saying where it is wrong."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipcbus.config.kinds import Kind
from ipcbus.config.settings import unknown
from ipcbus.errors import ConfigError, InvalidAddress
from ipcbus.protocol.address import check_name
from ipcbus.protocol.limits import MAX_NAME

if TYPE_CHECKING:
    # A parser of YAML, for which a broker that takes `settings_from` shall not wait.
    from ipcbus.config.document import Item

NAME: Final = {
    "type": "string",
    "pattern": f"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}$",
}
"""A name, as JSON Schema."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file: what an error begins with."""

    file: str
    path: str
    line: int

    def of(self, key: str, item: Item) -> Place:
        path = f"{self.path}.{key}" if self.path else key
        return Place(self.file, path, item.line)

    def wrong(self, reason: str) -> ConfigError:
        where = f"{self.path} (line {self.line})" if self.path else f"line {self.line}"
        return ConfigError(file=self.file, path=where, reason=reason, line=self.line)


def mapping(
    place: Place, item: Item, known: tuple[str, ...] | None
) -> Mapping[str, Item]:
    """The keys of `item`, all of them known; nothing written is no keys."""
    if item.value is None:
        return {}
    if not isinstance(item.value, Mapping):
        raise place.wrong("must hold keys with values, one a line")
    for key, child in item.value.items():
        if known is not None and key not in known:
            raise place.of(key, child).wrong(unknown(key, known, "key"))
    return item.value


def values(
    place: Place, items: Mapping[str, Item], kinds: Mapping[str, Kind]
) -> dict[str, Any]:
    """What those of `items` mean that `kinds` has."""
    found: dict[str, Any] = {}
    for key, item in items.items():
        if key not in kinds:
            continue
        at = place.of(key, item)
        if not isinstance(item.value, str):
            raise at.wrong(f"it must be {kinds[key].allowed()}")
        try:
            found[key] = kinds[key].parse(item.value, item.quoted)
        except ValueError as error:
            raise at.wrong(str(error)) from error
    return found


def named(place: Place, name: str) -> str:
    """`name`, if a network, a bridge or an agent can have it."""
    try:
        return check_name(name)
    except InvalidAddress as error:
        raise place.wrong(error.reason) from error


def file(place: Place, text: str) -> Path:
    """The file that `text` names, from the folder of the one that is read. Absolute, as
    who reads it runs in another folder."""
    path = (Path(place.file).parent / text).absolute()
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError as error:
        raise place.wrong(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise place.wrong(f"{path} cannot be read: {error}") from error
    if not is_file:
        raise place.wrong(f"{path} is not a file")
    return path


def an_object(properties: dict[str, Any], *, null: bool = False) -> dict[str, Any]:
    """As JSON Schema: these keys and no others."""
    return {
        "type": ["object", "null"] if null else "object",
        "properties": properties,
        "additionalProperties": False,
    }
