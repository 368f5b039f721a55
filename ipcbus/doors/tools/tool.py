"""What a tool is: its words for a model, and its arguments as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

Schema = dict[str, Any]


class Tool(NamedTuple):
    """One thing that a model can do on the bus.

    Attributes:
        name: letters, as all APIs take them.
        description: what a model reads; each word is paid for in each conversation.
        properties: JSON Schema of each argument: `type` (and `items`), `description`,
            and for a number `minimum` and `maximum`. Nothing else, so that every API
            takes it.
        required: the names of those that must be there.
        where: the module and function that carry it out, as `module:function`.
    """

    name: str
    description: str
    properties: Mapping[str, Schema]
    required: tuple[str, ...]
    where: str

    @property
    def schema(self) -> Schema:
        """The arguments as one JSON Schema object."""
        return {
            "type": "object",
            "properties": {name: dict(one) for name, one in self.properties.items()},
            "required": list(self.required),
            "additionalProperties": False,
        }


def text(description: str = "") -> Schema:
    return _of("string", description)


def flag(description: str = "") -> Schema:
    return _of("boolean", description)


def texts(description: str = "") -> Schema:
    return {**_of("array", description), "items": {"type": "string"}}


def count(description: str, low: int, high: int) -> Schema:
    return {**_of("integer", description), "minimum": low, "maximum": high}


def _of(kind: str, description: str) -> Schema:
    return {"type": kind} | ({"description": description} if description else {})


NETWORK: Final = text()
"""Of every tool: which network, for who is in several. Its name says it all."""
