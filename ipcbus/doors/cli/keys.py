"""`keys` and `revoke`: who may connect, and who no longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit, table
from ipcbus.doors.cli.session import as_operator
from ipcbus.doors.view import timestamp

_SHOWN = 12
"""Letters of a public key shown to people: enough to tell keys apart."""


@click.command()
@operator
def keys(network: str | None, as_json: bool) -> None:
    """List who may connect."""
    with as_operator(network) as client:
        rows = client.keys()
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "role": role,
            "key": key,
            "created_at": timestamp(created),
            "state": state,
            "sessions": sessions,
        }
        for name, role, key, created, state, sessions in rows
    ]

    def human() -> Iterator[str]:
        titles = ("name", "role", "state", "sessions", "since", "key")
        cells = [
            (
                each["name"] or "-",
                each["role"],
                each["state"],
                each["sessions"],
                each["created_at"][:10],
                each["key"][:_SHOWN],
            )
            for each in found
        ]
        yield from table(titles, cells)

    emit({"keys": found}, human, as_json=as_json)


@click.command()
@click.argument("name")
@operator
def revoke(name: str, network: str | None, as_json: bool) -> None:
    """Take the keys of an agent away; ends its sessions.

    Its mail and its name stay. A key that was revoked is never let in again.
    """
    with as_operator(network) as client:
        (removed, ended), _ = client.call("revoke", name)
    emit(
        {"name": name, "keys": removed, "sessions_ended": ended},
        lambda: [f"{name}: {removed} keys revoked, {ended} sessions ended"],
        as_json=as_json,
    )
