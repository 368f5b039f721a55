"""`bridges parked`: what a link could not bring over, and a second chance for it.

They are dead letters of the link, which is an agent called `@B` in network A. Their
senders were told by a bounce when they were parked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import click

from ipcbus.client.sync import Client
from ipcbus.doors.cli.dead import age_of, every, why
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit, table
from ipcbus.doors.cli.reach import as_owner
from ipcbus.doors.cli.render import lines
from ipcbus.doors.text import safe_line
from ipcbus.doors.view import document, of_record
from ipcbus.errors import NoSuchMessage, NothingThere, UsageError
from ipcbus.protocol.address import fold
from ipcbus.protocol.limits import PAGE

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def parked() -> None:
    """Look after mail that could not be brought over.

    Their senders were told when it happened. For the owner of A.
    """


def _link(command: F) -> F:
    """`A B --json`."""
    command = json_option(command)
    return click.argument("a")(click.argument("b")(command))


@parked.command("list")
@_link
@click.option(
    "--limit", type=click.IntRange(1, PAGE), default=20, help="Messages, at most."
)
@click.option(
    "--after", type=int, default=0, metavar="SEQ", help="`seq` of the last page's last."
)
def list_(a: str, b: str, as_json: bool, limit: int, after: int) -> int:
    """List them, and why. Ends with 3 if there are none."""
    with as_owner(a) as client:
        found = list(islice(_letters(client, b, after), limit + 1))
    more = len(found) > limit
    found = found[:limit]

    def human() -> Iterator[str]:
        cells = [
            (each["id"], each["from"], each["to"], age_of(each), why(each))
            for each in found
        ]
        if cells:
            yield from table(("id", "from", "to", "parked", "why"), cells)
        else:
            yield "nothing is parked"
        if more:
            yield f"more: --after {found[-1]['seq']}"

    emit({"parked": found, "more": more}, human, as_json=as_json)
    return 0 if found else NothingThere.exit_code


@parked.command()
@_link
@click.argument("message_id", metavar="ID")
def show(a: str, b: str, message_id: str, as_json: bool) -> None:
    """Show one of them, whole, and why it was parked."""
    with as_owner(a) as client:
        letter = _one(client, b, message_id)
        message = of_record(client.show(message_id), client.network)

    def human() -> Iterator[str]:
        yield safe_line(f"parked {age_of(letter)} on its way to {b}: {why(letter)}")
        yield from lines(message, whole=True)

    found = {"parked": letter, "message": document(message)}
    emit(found, human, as_json=as_json)


def _which(command: F) -> F:
    command = click.option("--all", "all_", is_flag=True, help="All of them.")(command)
    command = click.argument("message_id", metavar="[ID]", required=False)(command)
    return _link(command)


@parked.command()
@_which
def replay(a: str, b: str, message_id: str | None, all_: bool, as_json: bool) -> None:
    """Offer them to the bridge once more."""
    _each("replay", "replayed", a, b, message_id, all_, as_json)


@parked.command()
@_which
def drop(a: str, b: str, message_id: str | None, all_: bool, as_json: bool) -> None:
    """Forget them."""
    _each("drop", "dropped", a, b, message_id, all_, as_json)


def _each(
    call: str,
    done: str,
    a: str,
    b: str,
    message_id: str | None,
    all_: bool,
    as_json: bool,
) -> None:
    if (message_id is None) != all_:
        raise UsageError(reason="say an ID or --all")
    with as_owner(a) as client:
        if message_id is None:
            ids = [letter["id"] for letter in _letters(client, b)]
        else:
            ids = [_one(client, b, message_id)["id"]]
        act = {"replay": client.replay, "drop": client.drop}[call]
        total = sum(act(id_) for id_ in ids)
    emit({done: total}, lambda: [f"{done}: {total}"], as_json=as_json)


def _one(client: Client, peer: str, message_id: str) -> dict[str, Any]:
    for letter in _letters(client, peer):
        if letter["id"] == message_id:
            return letter
    where = f"among the mail that is parked on its way to {peer}"
    raise NoSuchMessage(id=message_id, where=where)


def _letters(client: Client, peer: str, after: int = 0) -> Iterator[dict[str, Any]]:
    """The dead letters of the link to `peer`."""
    mailbox = fold(f"@{peer}")
    for letter in every(client, after):
        if fold(letter["mailbox"]) == mailbox:
            yield letter
