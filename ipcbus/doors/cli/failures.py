"""What a failed command says, and the exit code it ends with.

Codes come from the error classes (`ipcbus.errors`).
"""

from __future__ import annotations

from typing import Any

import click

from ipcbus.doors.cli.output import abandon_stdout, to_json, write
from ipcbus.doors.text import safe
from ipcbus.errors import IpcbusError


def report(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong, as JSON on stdout or for people on stderr."""
    if isinstance(error, OSError):
        error = IpcbusError(reason=str(error))
    if not isinstance(error, (IpcbusError, click.ClickException)):
        _traceback(error)
    elif not as_json:
        _tell(error)
    try:
        write(to_json({"error": _facts(error)}) + "\n" if as_json else "")
    except (IpcbusError, BrokenPipeError):
        abandon_stdout()  # nobody reads; the exit code still speaks
    return exit_code(error)


def exit_code(error: Exception) -> int:
    if isinstance(error, (IpcbusError, click.ClickException)):
        return error.exit_code
    return IpcbusError.exit_code


def _facts(error: Exception) -> dict[str, Any]:
    if isinstance(error, IpcbusError):
        return {**error.facts, "code": error.code, "message": str(error)}
    if isinstance(error, click.ClickException):
        code = "usage" if error.exit_code == 2 else "failed"
        return {"code": code, "message": error.format_message()}
    return {"code": "failed", "message": f"a fault in ipcbus: {error!r}"}


def _tell(error: Exception) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    text = str(error)
    if isinstance(error, click.ClickException):
        text = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        text += f"\nTry: {error.ctx.command_path} --help"
    click.echo(f"ipcbus: {safe(text)}", err=True)


def _traceback(error: Exception) -> None:
    """Only for what should not happen: any other error has a sentence."""
    from traceback import print_exception

    print_exception(error)
