"""`install` and `uninstall`: ipcbus in the settings of an AI's own program."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from ipcbus import networks
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit, paint
from ipcbus.doors.install import (
    TOOLS,
    Change,
    Scope,
    carry_out,
    installation,
    removal,
    who,
)
from ipcbus.doors.text import safe_line
from ipcbus.protocol.address import check_name

F = TypeVar("F", bound=Callable[..., Any])


def _options(command: F) -> F:
    dry_run = click.option(
        "--dry-run", is_flag=True, help="Show what would change; change nothing."
    )
    scope = click.option(
        "--scope",
        type=click.Choice(["user", "project"]),
        default="user",
        help="For all your projects, or for the one in this folder.",
    )
    tools = click.Choice(list(TOOLS))
    tool = click.argument("tool", type=tools, metavar="|".join(TOOLS))
    return tool(scope(dry_run(json_option(command))))


@click.command()
@_options
@click.option(
    "--network",
    "-n",
    envvar="IPCBUS_NETWORK",
    metavar="NAME[,NAME]",
    help="The network, or several; needless if there is only one.",
)
@click.option(
    "--as", "agent", metavar="NAME", help="Its name; by default that of the tool."
)
def install(
    tool: str,
    scope: Scope,
    dry_run: bool,
    as_json: bool,
    network: str | None,
    agent: str | None,
) -> None:
    """Put ipcbus into the settings of Claude Code, Gemini CLI or Codex.

    Adds an MCP server, so that the AI can use the network, and hooks, so that it
    notices its mail. All else in the settings stays as it is, byte for byte; the file
    as it was before is kept beside it. `ipcbus uninstall` takes it out again.
    """
    names = [*filter(None, (network or "").split(","))]
    named = ",".join(map(check_name, names)) or networks.choose().name
    name = check_name(agent or tool)
    changes = installation(tool, scope, who(named, name))
    member = {"network": named, "as": name}
    _finish(tool, scope, changes, dry_run=dry_run, as_json=as_json, member=member)


@click.command()
@_options
def uninstall(tool: str, scope: Scope, dry_run: bool, as_json: bool) -> None:
    """Take ipcbus out of the settings of Claude Code, Gemini CLI or Codex.

    Takes out what `ipcbus install` put in, and nothing else. A file that it made is
    removed if nothing else is in it.
    """
    changes = removal(tool, scope)
    _finish(tool, scope, changes, dry_run=dry_run, as_json=as_json, member={})


def _finish(
    tool: str,
    scope: Scope,
    changes: Sequence[Change],
    *,
    dry_run: bool,
    as_json: bool,
    member: dict[str, str],
) -> None:
    changed = any(change.action != "unchanged" for change in changes)
    if not dry_run:
        carry_out(changes)
    note = TOOLS[tool].notes[scope] if changed and member else None
    found = {
        "tool": tool,
        "scope": scope,
        **member,
        "changed": changed,
        "dry_run": dry_run,
        "files": [_facts(change, dry_run) for change in changes],
        "note": note,
    }

    def human() -> Iterator[str]:
        for change in changes:
            yield from change.diff() if dry_run else _line(change)
        if not changed:
            yield "nothing to do"
        elif note and not dry_run:
            yield note

    emit(found, lambda: map(_shown, human()), as_json=as_json)


def _facts(change: Change, dry_run: bool) -> dict[str, Any]:
    keeps = change.backup_path.exists() if not dry_run else False
    facts: dict[str, Any] = {
        "file": str(change.path),
        "action": change.action,
        "backup": str(change.backup_path) if keeps else None,
    }
    return {**facts, "diff": change.diff()} if dry_run else facts


def _line(change: Change) -> Iterator[str]:
    if change.action == "unchanged":
        return
    kept = os.path.lexists(change.backup_path)
    beside = f" (as it was: {change.backup_path.name})" if kept else ""
    yield f"{change.action} {change.path}{beside}"


def _shown(line: str) -> str:
    """A diff has its colours; all else none."""
    style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    text = safe_line(line.expandtabs(4))
    return paint(text, style) if style else text
