"""Keys of a file with their values, read one by one, and errors that tell the place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ipcbus_bridges.places import Place, Wrong, unknown

if TYPE_CHECKING:
    import ipcbus

T = TypeVar("T")


class Section(NamedTuple):
    """Keys that stand together, all of them known."""

    place: Place
    items: Mapping[str, ipcbus.documents.Item]

    def at(self, key: str) -> Place:
        return self.place.of(key, self.items[key].line)

    def text(self, key: str, read: Callable[[str], T]) -> T:
        """What `read` makes of the text of `key`. Raises `ConfigError`."""
        return self._read(key, read, self._text(key))

    def texts(self, key: str, read: Callable[[Sequence[str]], T]) -> T:
        """The same for a list of texts; one alone needs no brackets."""
        value = self.items[key].value
        if isinstance(value, str):
            return self._read(key, read, [value])
        if not isinstance(value, list):
            raise self.at(key).wrong("must be a list: [one, another]")
        found = []
        for item in value:
            if not isinstance(item.value, str):
                raise self.at(key).wrong("must be a list of texts: [one, another]")
            found.append(item.value)
        return self._read(key, read, found)

    def holds_text(self, key: str) -> bool:
        return isinstance(self.items[key].value, str)

    def below(self, key: str, known: Sequence[str]) -> Section:
        """The keys that stand below `key`."""
        return section(self.at(key), self.items[key], known)

    def _text(self, key: str) -> str:
        value = self.items[key].value
        if not isinstance(value, str):
            raise self.at(key).wrong("must be one value, and not a list or keys")
        return value

    def _read(self, key: str, read: Callable[[S], T], given: S) -> T:
        try:
            return read(given)
        except Wrong:
            raise
        except ValueError as error:
            raise self.at(key).wrong(str(error)) from error


S = TypeVar("S")


def section(place: Place, item: ipcbus.documents.Item, known: Sequence[str]) -> Section:
    """The keys of `item`; nothing written is no keys. Raises `ConfigError`."""
    if item.value is None:
        return Section(place, {})
    if not isinstance(item.value, Mapping):
        raise place.wrong(f"must hold keys with values: {', '.join(known)}")
    for key, child in item.value.items():
        if key not in known:
            raise place.of(key, child.line).wrong(unknown(key, known))
    return Section(place, item.value)
