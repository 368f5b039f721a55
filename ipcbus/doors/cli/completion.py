"""`completion`: the script that click makes for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), metavar="SHELL")
@json_option
@click.pass_context
def completion(ctx: click.Context, shell: str, as_json: bool) -> None:
    """Print a shell's completion script.

    For bash, put this in ~/.bashrc: eval "$(ipcbus completion bash)"
    """
    maker = get_completion_class(shell)
    assert maker is not None
    group = ctx.find_root().command
    script = maker(group, {}, "ipcbus", "_IPCBUS_COMPLETE").source()
    emit({"shell": shell, "script": script}, lambda: [script], as_json=as_json)
