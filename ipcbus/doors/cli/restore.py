"""`restore`: put a backup in the place of a store that no broker serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit, safe, size
from ipcbus.errors import UsageError
from ipcbus.networks import choose, create
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
    lock = chosen.lock()
    try:
        if chosen.database.exists() and not replace:
            raise UsageError(
                reason=f"{chosen.name} has a store; add --replace to give it up"
            )
        facts = adopt(file, chosen.database, progress=_Progress(file))
    finally:
        os.close(lock)

    def human() -> Iterator[str]:
        counts = f"{facts['messages']} messages, {facts['waiting']} waiting"
        yield f"network {chosen.name} is restored from {safe(str(file))}: {counts}"

    found = {"network": chosen.name, "file": str(file), **facts}
    emit(found, human, as_json=as_json)


class _Progress:
    """Bytes done, on one line of a terminal; nothing anywhere else."""

    def __init__(self, file: Path) -> None:
        self._total = file.stat().st_size
        self._shown = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        if self._shown:
            end = "\n" if done >= self._total else ""
            text = f"\r{size(done)} of {size(self._total)}{end}"
            print(text, end="", file=sys.stderr, flush=True)  # noqa: T201
