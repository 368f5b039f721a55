"""Options that many commands share, and the values they take."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ipcbus.doors.cli.quick import seconds

F = TypeVar("F", bound=Callable[..., Any])


def duration(value: str | float) -> float:
    """Seconds, as `seconds` reads them; a type for options."""
    if isinstance(value, (int, float)):
        return float(value)
    try:
        return seconds(value)
    except ValueError as error:
        reason = f"{value!r} is not a duration; write 90s, 15m, 2h or 7d"
        raise click.BadParameter(reason) from error


def network_option(command: F) -> F:
    return click.option(
        "--network",
        "-n",
        envvar="IPCBUS_NETWORK",
        metavar="NAME",
        help="The network; needless if there is only one.",
    )(command)


def typed(option: str) -> bool:
    """Whether the user wrote it on the command line; a variable is no order."""
    source = click.get_current_context().get_parameter_source(option)
    return source is ParameterSource.COMMANDLINE


def agent_option(command: F) -> F:
    return click.option(
        "--as",
        "agent",
        envvar="IPCBUS_AGENT",
        metavar="NAME",
        help="Who you are in the network.",
    )(command)


def json_option(command: F) -> F:
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document."
    )(command)


def timeout_option(default: float | None, text: str) -> Callable[[F], F]:
    return click.option(
        "--timeout",
        type=duration,
        default=default,
        metavar="DURATION",
        help=text,
    )


def member(command: F) -> F:
    """`--network --as --json`: the command of a member of a network."""
    return network_option(agent_option(json_option(command)))


def operator(command: F) -> F:
    """`--network --json`: the command of who runs a network."""
    return network_option(json_option(command))


# --- of what a message is made of ---------------------------------------------


def _json(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", ctx, param) from error


def _pairs(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for text in value:
        key, equals, rest = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", ctx, param)
        found[key] = rest
    return found


_OPTIONS = (
    click.option(
        "--file", type=click.Path(path_type=Path), help="Take the body from here."
    ),
    click.option("--data", metavar="JSON", callback=_json, help="Structured data."),
    click.option("--thread", metavar="ID", help="The conversation it belongs to."),
    click.option(
        "--ttl", type=duration, help="Worth nothing after this long: 90s, 2h."
    ),
    click.option(
        "--priority", type=click.IntRange(0, 9), default=4, help="9 goes first."
    ),
    click.option(
        "--id", "id_", metavar="ID", help="The same id again is sent only once."
    ),
    click.option("--label", "labels", multiple=True, metavar="TEXT", help="A label."),
    click.option(
        "--attach", multiple=True, metavar="FILE", help="A file to go with it."
    ),
    click.option("--content-type", metavar="TYPE", help="Media type of the body."),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_pairs,
        help="A header of your own.",
    ),
)


def content_options(command: F) -> F:
    """All of the above; they arrive as keywords for `body.content`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
