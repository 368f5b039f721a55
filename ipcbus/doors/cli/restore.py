"""`restore`: put a backup in the place of a store that no broker serves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.progress import Progress
from ipcbus.doors.text import safe
from ipcbus.errors import UsageError
from ipcbus.networks import MEMORY, choose, create
from ipcbus.store.sqlite.offline import adopt


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Give up the store that is there now.")
@operator
def restore(file: Path, network: str | None, as_json: bool, replace: bool) -> None:
    """Put a backup in the place of a network's store.

    The broker must be down. The network is made if need be; keys are no part of a
    backup.
    """
    if not file.is_file():
        raise UsageError(reason=f"{file}: no such file")
    chosen = create(network) if network else choose()
    saved = chosen.saved()
    if saved.remote is not None:
        raise UsageError(
            reason=f"{chosen.name} is served by another machine, at {saved.remote}: "
            "its store is there, and so a backup of it is restored there; to make "
            "a network of this machine of it, give another name: --network NAME"
        )
    if saved.store == MEMORY:
        raise UsageError(
            reason=f"{chosen.name} is volatile: it would not show what is restored; "
            f"first: ipcbus up --network {chosen.name} --store durable --detach, "
            f"ipcbus down --network {chosen.name}"
        )
    last = chosen.broker_info()  # of a broker that died; the lock takes it away
    lock = chosen.lock()
    try:
        if chosen.database.exists() and not replace:
            raise UsageError(
                reason=f"{chosen.name} has a store; add --replace to give it up"
            )
        shown, total = Progress(file.name), file.stat().st_size
        facts = adopt(
            file,
            chosen.database,
            epoch=last.epoch if last else 0,
            progress=lambda done: shown(done, total),
        )
    finally:
        os.close(lock)

    def human() -> Iterator[str]:
        counts = f"{facts['messages']} messages, {facts['waiting']} waiting"
        yield f"network {chosen.name} is restored from {safe(str(file))}: {counts}"

    found = {"network": chosen.name, "file": str(file), **facts}
    emit(found, human, as_json=as_json)
