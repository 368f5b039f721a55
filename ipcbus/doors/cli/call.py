"""`call`: tools carried out for a model that speaks through a shell.

Each answer is one JSON object on a line of its own. What was shown is acked when the
next call comes; after the last one when its answer has left this process and somebody
is still there to read it.
"""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Iterator
from typing import Any

import click

from ipcbus.doors.cli.output import write
from ipcbus.doors.tools.calls import call as carry_out
from ipcbus.doors.tools.calls import failure
from ipcbus.doors.tools.desk import Desk
from ipcbus.errors import BY_CODE, IpcbusError, UsageError


@click.command()
@click.argument("name", required=False)
@click.argument("arguments", required=False, metavar="[JSON]")
@click.option(
    "--network",
    "-n",
    envvar="IPCBUS_NETWORK",
    metavar="NAME[,NAME]",
    help="The network, or several; needless if there is only one.",
)
@click.option(
    "--as",
    "agent",
    envvar="IPCBUS_AGENT",
    metavar="NAME",
    help="Who you are; else the model registers by `profile`.",
)
@click.option("--json", "as_json", is_flag=True, help="Needless: it is always JSON.")
def call(
    name: str | None,
    arguments: str | None,
    network: str | None,
    agent: str | None,
    as_json: bool,
) -> int:
    """Carry out a tool call of a model.

    NAME is a tool of `ipcbus tools`, JSON its arguments, or - to read them from stdin.
    Without NAME, calls are read from stdin, one JSON object a line, as
    {"name": ..., "arguments": {...}}, and answered in order.
    """
    networks = tuple(filter(None, (network or "").split(",")))
    with Desk(networks, agent or None) as desk:
        if name is None:
            return _converse(desk)
        if arguments == "-":
            arguments = sys.stdin.read() if sys.stdin else ""
        answer = carry_out(desk, name, _arguments(arguments or ""))
        write(_line(answer))
        desk.confirm()
        return _exit_code(answer)


def _arguments(text: str) -> Any:
    return _read("the arguments are", text) if text.strip() else {}


def _read(what: str, text: str) -> Any:
    """Raises `UsageError`, also for what is nested more deeply than any call."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(reason=f"{what} no JSON: {error}") from error


def _converse(desk: Desk) -> int:
    """Answer calls until stdin ends. A call that failed is answered and no more."""
    for line in _lines():
        write(_line(_answer(desk, line)))
    if _is_read():
        desk.confirm()
    return 0


def _lines() -> Iterator[str]:
    for line in sys.stdin or ():
        if line.strip():
            yield line


def _answer(desk: Desk, line: str) -> dict[str, Any]:
    """The answer to a line; it carries the `id` of the call, if that has one."""
    head: dict[str, Any] = {}
    try:
        asked = _read("the line is", line)
        if isinstance(asked, dict) and "id" in asked:
            head["call"] = asked["id"]
        return head | carry_out(desk, *_asked(asked))
    except UsageError as error:
        return head | {"error": failure(error)}


def _asked(line: object) -> tuple[str, object]:
    """The tool and its arguments. Raises `UsageError`."""
    if not isinstance(line, dict) or not isinstance(line.get("name"), str):
        raise UsageError(reason='a call is {"name": ..., "arguments": {...}}')
    arguments = line.get("arguments")
    if isinstance(arguments, str):  # as OpenAI's API gives them
        arguments = _arguments(arguments)
    return line["name"], {} if arguments is None else arguments


def _line(answer: dict[str, Any]) -> str:
    return json.dumps(answer, default=str) + "\n"


def _is_read() -> bool:
    """Whether stdout still has a reader: one that was killed has seen nothing."""
    if sys.stdout is None:
        return False
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
        return not poll.poll(0)
    except (OSError, ValueError):
        return False


def _exit_code(answer: dict[str, Any]) -> int:
    error = answer.get("error")
    if error is None:
        return 0
    return BY_CODE.get(error["code"], IpcbusError).exit_code
