"""What a model says, turn by turn; the same for every API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

NOTHING_MORE = "The model has nothing more to say."
"""The answer to every request that the script has no turn for."""


class Call(NamedTuple):
    """The model calls a tool of the bus."""

    tool: str
    args: dict[str, Any]


class Say(NamedTuple):
    """The model writes a text, which ends its turn."""

    text: str


Turn = Call | Say


def fixtures(script: Sequence[Turn], prefix: str) -> dict[str, Any]:
    """The script for aimock. A turn is told by how often the model spoke before.

    `prefix` is what the program sets before the names of our tools.
    """
    turns = [
        {"match": {"turnIndex": number}, "response": _response(turn, prefix)}
        for number, turn in enumerate(script)
    ]
    rest = {"match": {}, "response": {"content": NOTHING_MORE}}
    return {"fixtures": [*turns, rest]}


def _response(turn: Turn, prefix: str) -> dict[str, Any]:
    if isinstance(turn, Say):
        return {"content": turn.text}
    call = {"name": prefix + turn.tool, "arguments": json.dumps(turn.args)}
    return {"toolCalls": [call]}
