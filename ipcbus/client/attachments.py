"""Files up and down: in chunks, a few at a time, verified by SHA-256 at both ends.

An upload that was cut by a lost connection goes on where the broker has it, or begins
again if the broker is a new one. A download gets its name only when it is whole and
its hash is right: no reader ever sees half a file.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ipcbus.client.message import Attachment
from ipcbus.client.pending import Pending
from ipcbus.errors import (
    BoundExceeded,
    Disconnected,
    InvalidMessage,
    RemoteProtocolError,
    UsageError,
)
from ipcbus.protocol.limits import CHUNK, MAX_ATTACHMENT

if TYPE_CHECKING:
    from ipcbus.client.sync import Client

PIPELINED = 4
"""Chunks under way at once: hides the round trip and stays small at the broker."""

TRIES = 5
"""Times an upload is taken up again after a lost connection."""

Progress = Callable[[int, int], object]
"""Told `(bytes done, bytes in all)`."""


def upload(
    client: Client,
    source: str | Path | bytes,
    name: str | None = None,
    *,
    content_type: str | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Attachment:
    """Store a file, or bytes, at the broker. `timeout` is for each chunk.

    Raises `UsageError` (the file cannot be read), `BoundExceeded`, `Disconnected`.
    """
    if name is None:
        name = "attachment" if isinstance(source, bytes) else Path(source).name
    with _opened(source) as file:
        sha256, size = _digest(file)
        if size > MAX_ATTACHMENT:
            raise BoundExceeded(bound="attachment", value=size, limit=MAX_ATTACHMENT)
        upload = _Upload(client, file, sha256, size, progress, timeout)
        for left in reversed(range(TRIES)):
            try:
                upload.run()
                break
            except Disconnected:
                if not left or client.closed:
                    raise
            except InvalidMessage as error:
                # The broker is a new one that knows of no upload, or another session
                # of this agent uploads the same file.
                if not left or error.field not in ("offset", "sha256"):
                    raise
    return Attachment(sha256, size, name, content_type)


class _Upload:
    def __init__(
        self,
        client: Client,
        file: BinaryIO,
        sha256: str,
        size: int,
        progress: Progress | None,
        timeout: float,
    ) -> None:
        self._client = client
        self._file = file
        self._sha256 = sha256
        self._size = size
        self._progress = progress or (lambda done, size: None)
        self._timeout = timeout

    def run(self) -> None:
        there = self._call("blob_begin", self._sha256, self._size)[0]
        self._progress(there, self._size)
        if there == self._size and self._size > 0:
            return
        under_way: deque[Pending[tuple[Any, bytes]]] = deque()
        self._file.seek(there)
        offset = there
        while offset < self._size:
            piece = self._file.read(CHUNK)
            if not piece:
                raise UsageError(reason="the file became shorter while it was read")
            args = ("blob_write", self._sha256, offset)
            under_way.append(self._client.start_call(*args, body=piece))
            offset += len(piece)
            if len(under_way) >= PIPELINED:
                self._finish(under_way.popleft())
        while under_way:
            self._finish(under_way.popleft())
        self._call("blob_seal", self._sha256)

    def _finish(self, written: Pending[tuple[Any, bytes]]) -> None:
        (there,), _ = written.result(self._timeout)
        self._progress(there, self._size)

    def _call(self, name: str, *args: Any) -> Any:
        return self._client.call(name, *args, timeout=self._timeout)[0]


def download(
    client: Client,
    attachment: Attachment,
    path: str | Path,
    *,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """Fetch an attachment into the file `path`, replacing it.

    Raises `NotPermitted` (it was not sent to you), `RemoteProtocolError` (what came
    does not have the hash), `UsageError` (the file cannot be written).
    """
    target = Path(path)
    try:
        with _new_file(target) as file:
            _fetch(client, attachment, file, progress or (lambda a, b: None), timeout)
    except OSError as error:
        reason = f"{target} cannot be written: {error.strerror}"
        raise UsageError(reason=reason) from error
    return target


def _fetch(
    client: Client,
    attachment: Attachment,
    file: BinaryIO,
    progress: Progress,
    timeout: float,
) -> None:
    sha256, size = attachment.sha256, attachment.size
    digest = hashlib.sha256()
    under_way: deque[Pending[tuple[Any, bytes]]] = deque()
    offsets = iter(range(0, max(size, 1), CHUNK))
    done = 0
    while True:
        while len(under_way) < PIPELINED and (at := next(offsets, None)) is not None:
            under_way.append(client.start_call("blob_read", sha256, at))
        if not under_way:
            break
        _, piece = under_way.popleft().result(timeout)
        digest.update(piece)
        file.write(piece)
        done += len(piece)
        progress(done, size)
    if done != size or digest.hexdigest() != sha256:
        reason = f"attachment {attachment.name!r} came with another content"
        raise RemoteProtocolError(reason=reason)


@contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when all went well, and else never was."""
    fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield BytesIO(source)
        return
    try:
        with Path(source).open("rb") as file:
            yield file
    except OSError as error:
        reason = f"{source} cannot be read: {error.strerror}"
        raise UsageError(reason=reason) from error


def _digest(file: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := file.read(CHUNK):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
