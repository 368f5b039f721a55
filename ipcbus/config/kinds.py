"""Kinds of values that a configuration holds: what is allowed, and how it is read.

Each kind knows how text becomes a value (`parse`, raising `ValueError` with the
reason), how a value is written (`show`), and what is allowed, in words (`allowed`)
and as JSON Schema (`schema`). So the reader, its errors, the editor's completion
and `ipcbus config show` cannot disagree.
"""

from __future__ import annotations

import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ipcbus import units
from ipcbus.errors import InvalidAddress
from ipcbus.protocol.address import check_name
from ipcbus.protocol.limits import MAX_NAME


class Kind(ABC):
    """What one key may hold."""

    __slots__ = ()

    @abstractmethod
    def parse(self, text: str, quoted: bool) -> Any:
        """The value that `text` means; a number in quotes is no number."""

    @abstractmethod
    def allowed(self) -> str:
        """To follow "it must be"."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""

    def show(self, value: Any) -> Any:
        """How `value` is written."""
        return value


@dataclass(frozen=True, slots=True)
class Count(Kind):
    """A whole number."""

    low: int
    high: int

    def parse(self, text: str, quoted: bool) -> int:
        # No leading zeros: YAML 1.1 takes them for octal, people do not.
        if not quoted and re.fullmatch(r"0|[1-9][0-9]{0,15}", text):
            value = int(text)
            if self.low <= value <= self.high:
                return value
        raise ValueError(f"{text!r} is not {self.allowed()}")

    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Amount(Kind):
    """A whole number and a unit.

    Attributes:
        zero: whether 0 has a meaning of its own although it is below `low`.
        worth: what one of each unit is worth.
    """

    low: int
    high: int
    noun: str
    worth: Mapping[str, int]
    read: Callable[[str], int]
    write: Callable[[int], str]
    zero: bool = False

    def parse(self, text: str, quoted: bool) -> int:
        value = self.read(text)
        if self.low <= value <= self.high or (self.zero and value == 0):
            return value
        raise ValueError(f"{text!r} is not {self.allowed()}")

    def allowed(self) -> str:
        zero = "0 or " if self.zero else ""
        return (
            f"{zero}{self.noun} from {self.write(self.low)} to {self.show(self.high)}"
        )

    def schema(self) -> dict[str, Any]:
        names = "|".join(self.worth)
        pattern = rf"^[0-9]{{1,{units.MAX_DIGITS}}} ?({names})$"
        choices: list[dict[str, Any]] = [{"type": "string", "pattern": pattern}]
        if self.zero or self.low == 0:
            choices.append({"const": 0})
        return {"anyOf": choices, "description": self.allowed()}

    def show(self, value: int) -> str | int:
        return self.write(value) if value else 0


def duration(low: int, high: int, *, zero: bool = False) -> Amount:
    """Milliseconds, written as "7d", "2h", "90s" or "500ms"."""
    read, write = units.duration_ms, units.show_duration
    return Amount(low, high, "a duration", units.DURATIONS, read, write, zero)


def size(low: int, high: int, *, zero: bool = False) -> Amount:
    """Bytes, written as "10KiB", "64MiB" or "2GiB"."""
    read, write = units.size_bytes, units.show_size
    return Amount(low, high, "a size", units.SIZES, read, write, zero)


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """true or false; not yes, no, on, off, y or n, which YAML 1.1 also takes."""

    def parse(self, text: str, quoted: bool) -> bool:
        if quoted or text not in ("true", "false"):
            raise ValueError(f"{text!r} is not {self.allowed()}")
        return text == "true"

    def allowed(self) -> str:
        return "true or false"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number, with a fraction or without: money, or seconds."""

    low: float
    high: float

    def parse(self, text: str, quoted: bool) -> float:
        if not quoted and re.fullmatch(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?", text):
            value = float(text)
            if self.low <= value <= self.high:
                return value
        raise ValueError(f"{text!r} is not {self.allowed()}")

    def allowed(self) -> str:
        return f"a number from {self.low:g} to {self.high:.0f}, such as 2.5"

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Any text; `what` says of what."""

    what: str
    empty: bool = True

    def parse(self, text: str, quoted: bool) -> str:
        if not text and not self.empty:
            raise ValueError(f"{text!r} is not {self.allowed()}")
        return text

    def allowed(self) -> str:
        return self.what

    def schema(self) -> dict[str, Any]:
        least = {} if self.empty else {"minLength": 1}
        return {"type": "string", **least, "description": self.allowed()}


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of some words."""

    words: tuple[str, ...]

    def parse(self, text: str, quoted: bool) -> str:
        if text not in self.words:
            raise ValueError(f"{text!r} is not {self.allowed()}")
        return text

    def allowed(self) -> str:
        return " or ".join(self.words)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Host(Kind):
    """An address to listen on. No host names: those are for who connects."""

    def parse(self, text: str, quoted: bool) -> str:
        if text == "localhost":
            return "127.0.0.1"
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError as error:
            raise ValueError(f"{text!r} is not {self.allowed()}") from error

    def allowed(self) -> str:
        return (
            "an IPv4 address of this machine: "
            "127.0.0.1 for this machine alone, 0.0.0.0 for all that can reach it"
        )

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string", "format": "ipv4"}, {"const": "localhost"}],
            "description": self.allowed(),
        }


@dataclass(frozen=True, slots=True)
class AgentName(Kind):
    """The name of an agent, or nothing."""

    def parse(self, text: str, quoted: bool) -> str:
        try:
            return check_name(text) if text else text
        except InvalidAddress as error:
            raise ValueError(f"{text!r} is not {self.allowed()}") from error

    def allowed(self) -> str:
        return "the name of an agent, or empty"

    def schema(self) -> dict[str, Any]:
        pattern = rf"^([A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}})?$"
        return {"type": "string", "pattern": pattern, "description": self.allowed()}


HOST: Final = Host()
AGENT: Final = AgentName()
FLAG: Final = Flag()
PORT: Final = Count(0, 65535)
FILE: Final = Text("the path of a file, from the folder of this one or absolute", False)
"""Whether it is there is asked where it is known from where (`reading.file`)."""
