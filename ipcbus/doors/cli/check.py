"""`check` and `wait`: read mail, and ack it once it has left this process.

The order is the promise: lease, write, flush, and only then ack. If the reader has
gone or the disk behind stdout is full, nothing is acked, and all of it comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ipcbus.doors.cli.options import duration, member, timeout_option
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.render import (
    View,
    document,
    is_long,
    lines,
    of_message,
    of_record,
)
from ipcbus.doors.cli.session import as_member, confirm
from ipcbus.errors import NothingThere
from ipcbus.networks import find

if TYPE_CHECKING:
    from ipcbus.client.message import Message
    from ipcbus.client.sync import Client

F = TypeVar("F", bound=Callable[..., Any])


def _reading(command: F) -> F:
    """The options of both commands."""
    for option in (
        member,
        click.option(
            "--lease", type=duration, default=60.0, help="How long they are yours."
        ),
        click.option(
            "--no-ack", is_flag=True, help="Leave the ack to `ipcbus ack ID`."
        ),
        click.option(
            "--max-bytes",
            type=click.IntRange(1),
            default=262_144,
            help="Bytes of bodies, at most; one message always comes.",
        ),
        click.option(
            "--max",
            "most",
            type=click.IntRange(1),
            default=20,
            help="Messages, at most.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--peek", is_flag=True, help="Only look: nothing is leased or acked.")
@_reading
def check(
    network: str | None,
    agent: str | None,
    as_json: bool,
    peek: bool,
    most: int,
    max_bytes: int,
    no_ack: bool,
    lease: float,
) -> int:
    """Read the mail that is there.

    What was printed is acked, unless --no-ack or --peek is given. Ends with 3 if there
    is no mail.
    """
    with as_member(network, agent) as client:
        if peek:
            page = client.peek(most, body_limit=max_bytes)
            views = [of_record(each, client.network) for each in page.records]
            remaining = _waiting(client) - len(views)
            return _show(views, max(0, remaining), as_json=as_json)
        messages, remaining = client.fetch(most, max_bytes, lease=lease)
        return _hand_over(client, messages, remaining, as_json=as_json, ack=not no_ack)


@click.command()
@timeout_option(None, "How long to wait; for ever if not given.")
@_reading
def wait(
    network: str | None,
    agent: str | None,
    as_json: bool,
    timeout: float | None,
    most: int,
    max_bytes: int,
    no_ack: bool,
    lease: float,
) -> int:
    """Read mail; wait until there is some.

    As check, but if there is no mail it waits. Ends with 3 if none came in time.
    """
    forever = float("inf")
    with as_member(network, agent) as client:
        messages, remaining = client.fetch(
            most,
            max_bytes,
            lease=lease,
            timeout=forever if timeout is None else timeout,
        )
        return _hand_over(client, messages, remaining, as_json=as_json, ack=not no_ack)


def _waiting(client: Client) -> int:
    (_, _, _, waiting), _ = client.call("whoami")
    assert isinstance(waiting, int)
    return waiting


def _hand_over(
    client: Client,
    messages: Sequence[Message],
    remaining: int,
    *,
    as_json: bool,
    ack: bool,
) -> int:
    """Write, then ack. Whatever is raised on the way, closing releases the leases."""
    views = [of_message(each) for each in messages]
    whole = not as_json and any(map(is_long, views)) and not keeps_history(client)
    code = _show(views, remaining, as_json=as_json, whole=whole)
    if ack:
        confirm(client, messages)
    else:
        client.close(keep_leases=True)
    return code


def keeps_history(client: Client) -> bool:
    """Whether what was acked can still be read; else people must see it whole now."""
    saved = find(client.network).saved()
    return saved.remote is None and saved.settings.get("history_ms", 1) > 0


def _show(
    views: Sequence[View], remaining: int, *, as_json: bool, whole: bool = False
) -> int:
    found = {"messages": [document(each) for each in views], "remaining": remaining}

    def human() -> Iterator[str]:
        for each in views:
            yield from lines(each, whole=whole)
            yield ""
        if remaining:
            yield f"{remaining} more"
        if not views:
            yield "no mail"

    emit(found, human, as_json=as_json)
    return 0 if views else NothingThere.exit_code
