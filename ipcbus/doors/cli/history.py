"""`history` and `search`: messages of the past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.render import lines
from ipcbus.doors.cli.session import as_either
from ipcbus.doors.view import document, of_record
from ipcbus.errors import NothingThere

if TYPE_CHECKING:
    from ipcbus.client.sync import Client
    from ipcbus.client.words import Page

_LIMIT = click.option(
    "--limit", type=click.IntRange(1, 200), default=20, help="Messages, at most."
)
_BEFORE = click.option(
    "--before",
    type=int,
    metavar="SEQ",
    help="Older than this; `before` of the last page.",
)


@click.command()
@_LIMIT
@_BEFORE
@click.option("--with", "other", metavar="NAME", help="Only those exchanged with NAME.")
@click.option("--thread", metavar="ID", help="Only those of a conversation.")
@member
def history(
    network: str | None,
    agent: str | None,
    as_json: bool,
    limit: int,
    before: int | None,
    other: str | None,
    thread: str | None,
) -> int:
    """List messages of the past.

    Newest last. An agent sees those it sent or was sent; the operator (without --as)
    sees all.
    """
    with as_either(network, agent) as client:
        page = client.history(limit, before=before, other=other, thread=thread)
    return _show(client, page, as_json)


@click.command()
@click.argument("query", nargs=-1, required=True)
@_LIMIT
@_BEFORE
@member
def search(
    query: tuple[str, ...],
    network: str | None,
    agent: str | None,
    as_json: bool,
    limit: int,
    before: int | None,
) -> int:
    """Find messages by the words in them.

    Newest last. All words must occur; word* is a beginning, "two words" stand together.
    """
    with as_either(network, agent) as client:
        page = client.search(" ".join(query), limit, before=before)
    return _show(client, page, as_json)


def _show(client: Client, page: Page, as_json: bool) -> int:
    """Newest last, where a terminal stands still; in JSON as well."""
    views = [of_record(each, client.network) for each in reversed(page.records)]

    def human() -> Iterator[str]:
        if page.more:
            yield f"older ones: --before {page.records[-1].seq}"
        for each in views:
            yield from lines(each)
            yield ""
        if not views:
            yield "no message"

    found = {"messages": [document(each) for each in views], "more": page.more}
    emit(found, human, as_json=as_json)
    return 0 if views else NothingThere.exit_code
