"""What a message is made of, as it comes from a command line, stdin or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ipcbus.errors import BoundExceeded, UsageError
from ipcbus.protocol.limits import MAX_BODY

if TYPE_CHECKING:
    from ipcbus.client.sync import Client


def content(words: Sequence[str], **options: Any) -> dict[str, Any]:
    """The keywords of `Client.send` that `content_options` and the words stand for."""
    file = options.pop("file", None)
    given = {"id": options.pop("id_", None), **options}
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
        client.upload(path, _sendable(path), progress=Progress(path))
        for path in message["attach"]
    )
    return {**message, "attach": stored}


def _sendable(path: str) -> str:
    """The name of a file as text: that of a file may be any bytes, and on the wire all
    text is UTF-8."""
    return os.fsencode(Path(path).name).decode(errors="replace")


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
