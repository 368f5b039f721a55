"""`backup`: a copy of a store, made by the broker while it goes on working."""

from __future__ import annotations

from pathlib import Path

import click

from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.session import as_operator
from ipcbus.doors.text import safe, size
from ipcbus.errors import UsageError
from ipcbus.transport.volatile import no_backup

BACKUP_S = 3600.0
"""Seconds that a copy may take: a full disk of the slow kind."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@operator
def backup(file: Path, network: str | None, as_json: bool) -> None:
    """Copy the store of a running network to a new file.

    The broker does it, and goes on serving. The copy holds all mail: keep it as safe
    as the network itself.
    """
    target = file.absolute()
    if safe(str(target)) != str(target):
        reason = f"{target} has control characters, or is not UTF-8; take another name"
        raise UsageError(reason=reason)
    with as_operator(network) as client:
        if client.status()["volatile"]:
            raise UsageError(reason=no_backup(client.network))
        (written,), _ = client.call("backup", str(target), timeout=BACKUP_S)
    emit(
        {"file": str(target), "bytes": written},
        lambda: [f"wrote {target} ({size(written)})"],
        as_json=as_json,
    )
