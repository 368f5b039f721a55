"""`import`: what another program left, into a network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit
from ipcbus.doors.text import safe_line
from ipcbus.errors import UsageError
from ipcbus.networks import choose

if TYPE_CHECKING:
    from ipcbus_bridges.claude_ipc.moving import Moved
    from ipcbus_bridges.claude_ipc.olddata import OldData
    from ipcbus_bridges.claude_ipc.plan import Plan

SHOWN: Final = 10
"""Messages that were not taken, of which the reason is printed."""


@click.group("import")
def import_() -> None:
    """Move in what another program left."""


@import_.command("claude-ipc")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do it; else only tell what would be done.")
@operator
def claude_ipc(path: Path | None, yes: bool, network: str | None, as_json: bool) -> int:
    """Move in from claude-ipc-mcp: names, messages, forwards.

    PATH is its messages.db, or the folder of it; ~/.claude-ipc-data by default. It is
    not changed. Without --yes, this tells what would be done. It can be done again:
    what is there is known.
    """
    from ipcbus_bridges.claude_ipc import moving, olddata

    chosen = choose(network)
    if chosen.saved().remote is not None:
        raise UsageError(reason=f"{chosen.name} is another machine's; import it there")
    old = olddata.read(olddata.find(path))
    planned = moving.plan(chosen.name, chosen.folder, old)
    if not chosen.saved().settings.get("history_ms", 1):
        planned = planned._replace(past=[])  # it keeps none
    document = _planned(old, planned, chosen.name)
    if not yes:
        emit(document, lambda: _would(document), as_json=as_json)
        return 0
    moved = moving.carry_out(chosen.name, chosen.folder, old, planned, _progress())
    document = {**document, "dry_run": False, "moved": _document(moved)}
    emit(document, lambda: _did(document, moved), as_json=as_json)
    return 1 if moved.failed else 0


# `import` is a word of the language, so that no statement can give this name.
globals()["import"] = import_


def _planned(old: OldData, planned: Plan, network: str) -> dict[str, Any]:
    to = {move.to for move in planned.moves}
    return {
        "path": str(old.path),
        "network": network,
        "dry_run": True,
        "names": len(planned.claims),
        "kept": planned.kept,
        "forwards": [{"old": old, "new": new} for old, new in planned.renames],
        "sessions": len(planned.sessions),
        "unread": len(planned.moves),
        "recipients": len(to),
        "future": sum(move.is_future for move in planned.moves),
        "files": sum(old.file_of(m.message) is not None for m in planned.moves),
        "expired": planned.expired,
        "unusable": planned.unusable,
        "past": len(planned.past),
        "left": len(old.past) - len(planned.past),
    }


def _document(moved: Moved) -> dict[str, Any]:
    return dict(moved._asdict())


def _would(found: dict[str, Any]) -> Iterator[str]:
    yield f"{safe_line(found['path'])} -> {found['network']}"
    yield from _lines(found)
    yield "nothing was changed; add --yes to do it"


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"  names     {found['names']}"
    for name in found["kept"]:
        yield f"            {name} is an agent already: it gets the mail of {name}, too"
    for one in found["forwards"]:
        yield f"  forwards  {one['old']} to {one['new']}"
    yield f"  sessions  {found['sessions']} that are still valid"
    unread = f"{found['unread']} messages for {found['recipients']} names"
    if found["future"]:
        unread += f"; {found['future']} of them wait for names that nobody has yet"
    yield f"  unread    {unread}"
    if found["files"]:
        yield f"  files     {found['files']} large messages, as attachments"
    yield f"  history   {found['past']} messages that were read"
    if found["left"]:
        why = "names long gone, or no history is kept here"
        yield f"  left      {found['left']} messages that were read: {why}"
    if found["expired"]:
        yield f"            {found['expired']} to names that nobody took in 7 days"
    if found["unusable"]:
        yield f"            {found['unusable']} names and messages that are no such"


def _did(found: dict[str, Any], moved: Moved) -> Iterator[str]:
    yield f"{safe_line(found['path'])} -> {found['network']}"
    yield from _lines(found)
    again = f", {moved.again} had been before" if moved.again else ""
    yield f"moved in: {moved.messages} messages, {moved.past} as history{again}"
    for reason in moved.failed[:SHOWN]:
        yield f"not taken: {safe_line(reason)}"
    if len(moved.failed) > SHOWN:
        yield f"not taken: {len(moved.failed) - SHOWN} others; --json lists them"


def _progress() -> Any:
    """One line on a terminal, nothing anywhere else."""
    shown = sys.stderr is not None and sys.stderr.isatty()

    def progress(what: str, done: int, total: int) -> None:
        if shown:
            end = "\n" if done >= total else ""
            text = f"\r{what}: {done} of {total} {end}"
            print(text, end="", file=sys.stderr, flush=True)  # noqa: T201

    return progress
