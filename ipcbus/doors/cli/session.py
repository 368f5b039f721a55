"""Connecting: as a member by name, or as the operator of a network of this user."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipcbus.client.connect import connect
from ipcbus.client.message import Message
from ipcbus.client.sync import Client
from ipcbus.doors.cli.output import remark
from ipcbus.errors import IpcbusError, UsageError

PROGRAM: Final = "ipcbus"

CONFIRM_S: Final = 5.0
"""Seconds to wait for the broker's word on acks."""


def as_member(network: str | None, agent: str | None, *, timeout: float = 10) -> Client:
    """A session of `agent`. Raises `UsageError` if nobody said who that is."""
    if not agent:
        raise UsageError(reason="who are you? Say --as NAME, or set IPCBUS_AGENT")
    return connect(network, agent=agent, timeout=timeout, program=PROGRAM)


def as_operator(
    network: str | None, *, start: bool = True, timeout: float = 10
) -> Client:
    """A session of the operator: the owner of the network's folder."""
    return connect(network, agent="", start=start, timeout=timeout, program=PROGRAM)


def as_either(network: str | None, agent: str | None, *, start: bool = True) -> Client:
    """A session of `agent` if one is named, else the operator's, who sees all."""
    return connect(network, agent=agent or "", start=start, program=PROGRAM)


def confirm(client: Client, messages: Iterable[Message]) -> None:
    """Ack what was written. That it was written is true even if the ack fails: it
    comes again then, so this is said and is no failure."""
    acks = [(message, message.ack()) for message in messages]
    for message, ack in acks:
        try:
            ack.result(CONFIRM_S)
        except IpcbusError as error:
            remark(f"{message.id} could not be acked and comes again: {error}")
