"""The first message of a network has nobody to go to yet.

An unknown recipient is an error, because it is nearly always a misspelling. In a
network where nobody is but the sender it cannot be one, and whoever tries the bus out
has to begin with one of the two: there the message waits for its reader, as if
`--future` was said, and a line on stderr says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ipcbus.client.sync import Client
from ipcbus.doors.cli.output import remark
from ipcbus.doors.text import safe_line
from ipcbus.errors import UnknownRecipient

T = TypeVar("T")


def said_to(
    client: Client, to: str, say: Callable[..., T], message: dict[str, Any]
) -> T:
    """`say(to, **message)`, and once more with `future` if `to` is to be waited for."""
    try:
        return say(to, **message)
    except UnknownRecipient:
        if message.get("future") or not _is_name(to) or not _alone(client):
            raise
    remark(f"nobody is called {safe_line(to)} yet; the message waits for them")
    return say(to, **{**message, "future": True})


def _is_name(to: str) -> bool:
    return "@" not in to and to[:1] not in ("#", "*")


def _alone(client: Client) -> bool:
    return all(agent.name == client.agent for agent in client.agents())
