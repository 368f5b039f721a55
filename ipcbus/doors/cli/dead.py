"""`dead`: messages that were given up, their reasons, and a second chance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, table
from ipcbus.doors.cli.render import lines
from ipcbus.doors.cli.session import as_either
from ipcbus.doors.text import age, safe_line
from ipcbus.doors.view import document, of_record, timestamp
from ipcbus.errors import NoSuchMessage, NothingThere, UsageError
from ipcbus.protocol.limits import PAGE

if TYPE_CHECKING:
    from ipcbus.client.sync import Client
    from ipcbus.client.words import DeadLetter

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def dead() -> None:
    """Look after messages that were given up.

    An agent sees those of its own mailbox; the operator (without --as) sees all.
    """


@dead.command("list")
@click.option(
    "--limit", type=click.IntRange(1, PAGE), default=20, help="Messages, at most."
)
@click.option(
    "--after", type=int, default=0, metavar="SEQ", help="`seq` of the last page's last."
)
@member
def list_(
    network: str | None, agent: str | None, as_json: bool, limit: int, after: int
) -> int:
    """List them, and why they were given up. Ends with 3 if there are none."""
    with as_either(network, agent) as client:
        page = client.dead(limit, after=after)
    found, more = [_letter(each) for each in page.letters], page.more

    def human() -> Iterator[str]:
        cells = [
            (each["id"], each["from"], each["mailbox"], age_of(each), why(each))
            for each in found
        ]
        if cells:
            yield from table(("id", "from", "mailbox", "given up", "why"), cells)
        else:
            yield "no dead letters"
        if more:
            yield f"more: --after {found[-1]['seq']}"

    emit({"dead": found, "more": more}, human, as_json=as_json)
    return 0 if found else NothingThere.exit_code


@dead.command()
@click.argument("message_id", metavar="ID")
@member
def show(
    message_id: str, network: str | None, agent: str | None, as_json: bool
) -> None:
    """Show one of them, whole, and why it was given up."""
    with as_either(network, agent) as client:
        letters = [each for each in every(client) if each["id"] == message_id]
        if not letters:
            raise NoSuchMessage(id=message_id, where="among the dead letters")
        message = of_record(client.show(message_id), client.network)

    def human() -> Iterator[str]:
        for each in letters:
            mailbox, reason = safe_line(each["mailbox"]), safe_line(why(each))
            yield f"given up in the mailbox of {mailbox}, {age_of(each)}: {reason}"
        yield from lines(message, whole=True)

    emit({"dead": letters, "message": document(message)}, human, as_json=as_json)


def _which(command: F) -> F:
    command = click.option("--all", "all_", is_flag=True, help="All of them.")(command)
    return click.argument("message_id", metavar="[ID]", required=False)(command)


@dead.command()
@_which
@member
def replay(
    message_id: str | None,
    all_: bool,
    network: str | None,
    agent: str | None,
    as_json: bool,
) -> None:
    """Put them back into the mailbox, for another try."""
    _carry_out("replay", "replayed", message_id, all_, network, agent, as_json)


@dead.command()
@_which
@member
def drop(
    message_id: str | None,
    all_: bool,
    network: str | None,
    agent: str | None,
    as_json: bool,
) -> None:
    """Forget them."""
    _carry_out("drop", "dropped", message_id, all_, network, agent, as_json)


def _carry_out(
    call: str,
    done: str,
    message_id: str | None,
    all_: bool,
    network: str | None,
    agent: str | None,
    as_json: bool,
) -> None:
    """One, or page by page until none is left."""
    if (message_id is None) != all_:
        raise UsageError(reason="say an ID or --all")
    with as_either(network, agent) as client:
        act = {"replay": client.replay, "drop": client.drop}[call]
        count = total = act(message_id)
        while all_ and count:
            count = act()
            total += count
    emit({done: total}, lambda: [f"{done}: {total}"], as_json=as_json)


def every(client: Client, after: int = 0) -> Iterator[dict[str, Any]]:
    """All that the caller may see, from `after` on, page by page."""
    more = True
    while more:
        letters, more = client.dead(PAGE, after=after)
        yield from map(_letter, letters)
        after = letters[-1].seq if letters else after


def _letter(found: DeadLetter) -> dict[str, Any]:
    header = found.header
    return {
        "id": header.id,
        "from": header.sender,
        "to": header.to,
        "mailbox": found.mailbox,
        "kind": header.kind,
        "code": found.code,
        "reason": found.reason,
        "attempts": found.attempt,
        "seq": found.seq,
        "accepted_at": timestamp(header.accepted_at),
        "given_up_at": timestamp(found.at),
        "given_up_s": round(max(0.0, time.time() - found.at / 1000), 3),
    }


def age_of(letter: dict[str, Any]) -> str:
    return age(letter["given_up_s"])


def why(letter: dict[str, Any]) -> str:
    return (
        f"{letter['code']}: {letter['reason']}" if letter["reason"] else letter["code"]
    )
