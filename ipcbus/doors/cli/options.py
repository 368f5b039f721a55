"""Options that many commands share, and the values they take."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from click.core import ParameterSource

from ipcbus.doors.cli.quick import seconds
from ipcbus.protocol.fields import is_plain
from ipcbus.protocol.limits import MAX_DEPTH

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


def structured(text: str) -> Any:
    """JSON that a message can carry. Raises `click.BadParameter` that says why not."""
    try:
        found = json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_no)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError as error:
        raise click.BadParameter(_TOO_DEEP) from error
    except UnicodeEncodeError as error:
        reason = "it has half a letter (a lone surrogate), which is no text"
        raise click.BadParameter(reason) from error
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from error
    if not is_plain(found):
        raise click.BadParameter(_TOO_DEEP)
    return found


_TOO_DEEP: Final = f"it is nested too deeply: over {MAX_DEPTH} levels"


def _int(text: str) -> int:
    if len(text) > len("-9223372036854775808") or not is_plain(int(text)):
        raise ValueError(f"{text[:30]} is over 64 bits")
    return int(text)


def _float(text: str) -> float:
    found = float(text)
    return found if isfinite(found) else _no(text)


def _no(text: str) -> NoReturn:
    raise ValueError(f"{text[:30]} is no number that JSON has")


def _json(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    return None if value is None else structured(value)


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
        "--attach",
        type=click.Path(),
        multiple=True,
        metavar="FILE",
        help="A file to go with it.",
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
