"""Options that many commands share, and the values they take."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from ipcbus.units import duration_ms

F = TypeVar("F", bound=Callable[..., Any])

_PLAIN: Final = r"[0-9]{1,9}(\.[0-9]{1,3})?"


def duration(value: str | float) -> float:
    """Seconds, spelled `90`, `90s`, `500ms`, `15m`, `2h` or `7d`; a type for options.

    A plain number is allowed here, as it is not in a configuration: whoever types
    `--timeout 60` means what `sleep 60` and `timeout 60` mean.
    """
    if isinstance(value, (int, float)) or re.fullmatch(_PLAIN, value):
        return float(value)
    try:
        return duration_ms(value) / 1000
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
