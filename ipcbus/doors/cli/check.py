"""`check` and `wait`: their options. What they do is in `reading`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ipcbus.doors.cli import reading
from ipcbus.doors.cli.options import duration, member, timeout_option

F = TypeVar("F", bound=Callable[..., Any])


def _reading(command: F) -> F:
    """The options of both commands."""
    for option in (
        member,
        click.option(
            "--lease",
            type=duration,
            default=reading.LEASE_S,
            help="How long they are yours.",
        ),
        click.option(
            "--no-ack", is_flag=True, help="Leave the ack to `ipcbus ack ID`."
        ),
        click.option(
            "--max-bytes",
            type=click.IntRange(1),
            default=reading.MOST_BYTES,
            help="Bytes of bodies, at most; one message always comes.",
        ),
        click.option(
            "--max",
            "most",
            type=click.IntRange(1),
            default=reading.MOST,
            help="Messages, at most.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--peek", is_flag=True, help="Only look: nothing is leased or acked.")
@_reading
def check(**options: Any) -> int:
    """Read the mail that is there.

    What was printed is acked, unless --no-ack or --peek is given. Ends with 3 if there
    is no mail.
    """
    return reading.check(**options)


@click.command()
@timeout_option(None, "How long to wait; for ever if not given.")
@_reading
def wait(**options: Any) -> int:
    """Read mail; wait until there is some.

    As check, but if there is no mail it waits. Ends with 3 if none came in time.
    """
    return reading.wait(**options)
