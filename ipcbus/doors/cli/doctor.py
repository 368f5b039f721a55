"""`doctor`: look for what is wrong on this machine, and say how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from ipcbus.doctor import Row, examine
from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit, paint
from ipcbus.doors.text import safe_line
from ipcbus.networks import find

_STYLES: Final = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command()
@operator
def doctor(network: str | None, as_json: bool) -> int:
    """Look for what is wrong, and say how to mend it.

    Looks at this machine and at all of its networks, or at one. Changes nothing. Ends
    with 1 if anything is bad.
    """
    rows = examine(find(network) if network else None)
    is_well = all(row.status != "bad" for row in rows)
    found = {"well": is_well, "findings": [row._asdict() for row in rows]}
    emit(found, lambda: _lines(rows), as_json=as_json)
    return 0 if is_well else 1


def _lines(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        status = paint(f"{row.status:<4}", _STYLES[row.status])
        yield f"{status}  {safe_line(row.name)}: {safe_line(row.finding)}"
        if row.mend and row.status != "ok":
            yield f"      {safe_line(row.mend)}"
