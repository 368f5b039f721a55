"""What a message is made of, as it comes from a command line, stdin or a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from ipcbus.doors.cli.options import duration
from ipcbus.errors import BoundExceeded, UsageError
from ipcbus.protocol.limits import MAX_BODY

if TYPE_CHECKING:
    from ipcbus.client.sync import Client

F = TypeVar("F", bound=Callable[..., Any])


def content(words: Sequence[str], **options: Any) -> dict[str, Any]:
    """The keywords of `Client.send` that `content_options` and the words stand for."""
    file = options.pop("file")
    given = {"id": options.pop("id_"), **options}
    kept = {key: value for key, value in given.items() if value not in (None, (), {})}
    body = read(words, file)
    if not body and not kept.keys() & {"data", "attach"} and file is None and not words:
        raise UsageError(reason="nothing to send: give a body, --file or --data")
    return {"body": body, **kept}


def upload(client: Client, message: dict[str, Any]) -> dict[str, Any]:
    """`message` with its files stored at the broker, as `Client.send` wants them."""
    if "attach" not in message:
        return message
    from ipcbus.doors.cli.progress import Progress  # only for who attaches

    stored = tuple(
        client.upload(path, progress=Progress(path)) for path in message["attach"]
    )
    return {**message, "attach": stored}


def read(words: Sequence[str], file: Path | None) -> str | bytes:
    """The body: words, `-` for stdin, or a file. Bytes if it is not UTF-8."""
    if words and file is not None:
        raise UsageError(reason="give a body or --file, not both")
    if file is not None:
        return _open_and_read(file)
    if list(words) == ["-"]:
        if sys.stdin is None:
            raise UsageError(reason="stdin is closed, and - reads from it")
        return _decode(_bounded(sys.stdin.buffer))
    return " ".join(words)


def _open_and_read(file: Path) -> str | bytes:
    try:
        with file.open("rb") as stream:
            return _decode(_bounded(stream))
    except OSError as error:
        raise UsageError(reason=f"cannot read {file}: {error.strerror}") from error


def _bounded(stream: BinaryIO) -> bytes:
    found = stream.read(MAX_BODY + 1)
    if len(found) > MAX_BODY:
        raise BoundExceeded(bound="body", value=f"over {MAX_BODY}", limit=MAX_BODY)
    return found


def _decode(found: bytes) -> str | bytes:
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found


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
    """All of the above; they arrive as keywords for `content`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
