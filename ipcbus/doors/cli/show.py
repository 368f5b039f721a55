"""`show`: one message, whole, with what is attached to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.progress import Progress
from ipcbus.doors.cli.render import lines
from ipcbus.doors.cli.session import as_either
from ipcbus.doors.saving import save_all
from ipcbus.doors.text import safe_line
from ipcbus.doors.view import document, of_record
from ipcbus.errors import UsageError

if TYPE_CHECKING:
    from ipcbus.client.words import Record


@click.command()
@click.argument("message_id", metavar="ID")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the body, byte for byte, to this new file.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Save the attachments in this folder.",
)
@member
def show(
    message_id: str,
    network: str | None,
    agent: str | None,
    as_json: bool,
    out: Path | None,
    save: Path | None,
) -> None:
    """Show one message, whole.

    Any that you sent or were sent, for as long as the network keeps its history.
    """
    with as_either(network, agent) as client:
        record = client.show(message_id)
        written = [_write(record, out)] if out else []
        if save:
            written += save_all(client, record.header, save, Progress)
    view = of_record(record, client.network)

    def human() -> Iterator[str]:
        if out is None:
            yield from lines(view, whole=True)
        for path in written:
            yield f"wrote {safe_line(str(path))}"

    found = document(view)
    if written:
        found["written"] = [str(path) for path in written]
    emit(found, human, as_json=as_json)


def _write(record: Record, out: Path) -> Path:
    with _new(out) as file:
        file.write(record.body)
    return out


def _new(path: Path) -> IO[bytes]:
    try:
        return path.open("xb")
    except OSError as error:
        raise UsageError(reason=f"cannot write {path}: {error.strerror}") from error
