"""Lists of values, and the kinds of what stands in those of agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipcbus.config.kinds import Kind
from ipcbus.config.reading import Place
from ipcbus.errors import InvalidAddress
from ipcbus.protocol import address
from ipcbus.protocol.address import check_pattern

if TYPE_CHECKING:
    from ipcbus.config.document import Item


def read(place: Place, item: Item, kind: Kind) -> tuple[Any, ...]:
    """The values of a list, each of a kind. Raises `ConfigError`."""
    if not isinstance(item.value, list):
        raise place.wrong(f"it must be a list, as [x, y]; each {kind.allowed()}")
    found = []
    for each in item.value:
        at = Place(place.file, place.path, each.line)
        if not isinstance(each.value, str):
            raise at.wrong(f"each must be {kind.allowed()}")
        try:
            found.append(kind.parse(each.value, each.quoted))
        except ValueError as error:
            raise at.wrong(str(error)) from error
    return tuple(found)


def schema(kind: Kind) -> dict[str, Any]:
    return {"type": "array", "items": kind.schema()}


@dataclass(frozen=True, slots=True)
class Topic(Kind):
    """A topic, or a pattern for several."""

    def parse(self, text: str, quoted: bool) -> str:
        try:
            return check_pattern(text.removeprefix("#"))
        except InvalidAddress as error:
            raise ValueError(f"{text!r} is not {self.allowed()}") from error

    def allowed(self) -> str:
        # YAML takes what follows a # for a comment.
        return "a topic or a pattern, as builds.*, without # before it"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "description": self.allowed()}


@dataclass(frozen=True, slots=True)
class Who(Kind):
    """An agent, here or in another network; or nobody."""

    def parse(self, text: str, quoted: bool) -> str:
        try:
            if not text or address.parse(text).kind in _AGENTS:
                return text
        except InvalidAddress as error:
            raise ValueError(f"{text!r} is not {self.allowed()}") from error
        raise ValueError(f"{text!r} is not {self.allowed()}")

    def allowed(self) -> str:
        return "the name of an agent, with @network if it is of another one; or empty"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "description": self.allowed()}


_AGENTS: Final = (address.Kind.AGENT, address.Kind.FOREIGN)

TOPIC: Final = Topic()
WHO: Final = Who()
