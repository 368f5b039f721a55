"""`hook`: its options. What it does is in `hooking`."""

from __future__ import annotations

from typing import Any

import click

from ipcbus.doors.cli import hooking
from ipcbus.doors.cli.options import duration, json_option
from ipcbus.errors import IpcbusError


class Harmless(click.Command):
    """A mistake in the line must not end with 2, which orders a CLI to stop."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise IpcbusError(reason=error.format_message()) from error


@click.command(cls=Harmless)
@click.argument("tool", metavar="claude|gemini|codex", default="")
@click.argument("event", metavar="EVENT", default="")
@click.option(
    "--network",
    "-n",
    envvar="IPCBUS_NETWORK",
    metavar="NAME[,NAME]",
    help="The network, or several; needless if there is only one.",
)
@click.option(
    "--as", "agent", envvar="IPCBUS_AGENT", metavar="NAME", help="Whose mail it is."
)
@click.option(
    "--patience",
    type=duration,
    metavar="DURATION",
    help="How long to wait for a broker that does not answer.",
)
@click.option(
    "--timeout",
    type=duration,
    default=hooking.DAY_S,
    metavar="DURATION",
    help="Of wait: end after this long.",
)
@click.option(
    "--session", metavar="ID", help="The session, in the place of what stdin says."
)
@click.option(
    "--parent",
    metavar="PID:START:BOOT",
    help="Of wait: end with this process, if not with the one that started it.",
)
@json_option
def hook(tool: str, event: str, **options: Any) -> int:
    """Answer a hook of Claude Code, Gemini CLI or Codex.

    EVENT is an event of that command line, whose JSON is read from stdin; new mail is
    printed in the JSON that it takes, and nothing if there is none. EVENT may be wait,
    for Claude Code and Codex: wait beside the session, and wake it when mail comes.
    `ipcbus install` writes such lines into the settings.
    """
    return hooking.hook(tool, event, **options)
