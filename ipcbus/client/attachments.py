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
from contextlib import contextmanager, suppress
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

    Raises `UsageError` (the file cannot be read, or changes meanwhile),
    `BoundExceeded`, `Disconnected`.
    """
    if name is None:
        name = "attachment" if isinstance(source, bytes) else Path(source).name
    with _opened(source) as file:
        sha256, size = file.digest()
        upload = _Upload(client, file, sha256, size, progress, timeout)
        for left in reversed(range(TRIES)):
            try:
                upload.run()
                break
            except Disconnected:
                if not left or client.closed:
                    raise
            except InvalidMessage as error:
                # The broker is a new one that knows of no upload, or the bytes were
                # not those: of this file, or of one that another session of this
                # agent began to upload.
                if error.field == "attachment" and file.digest() != (sha256, size):
                    raise file.changed() from error
                if not left or error.field not in ("offset", "sha256", "attachment"):
                    raise
    return Attachment(sha256, size, name, content_type)


class _Upload:
    def __init__(
        self,
        client: Client,
        file: _Source,
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
        offset = there
        while offset < self._size:
            piece = self._file.read(offset, min(CHUNK, self._size - offset))
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
    does not have the hash), `UsageError` (the file cannot be written). After any of
    them `path` is as it was before.
    """
    target = Path(path)
    with _new_file(target) as write:
        _fetch(client, attachment, write, progress or (lambda a, b: None), timeout)
    return target


def _fetch(
    client: Client,
    attachment: Attachment,
    write: Callable[[bytes], None],
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
        write(piece)
        done += len(piece)
        progress(done, size)
    if done != size or digest.hexdigest() != sha256:
        reason = f"attachment {attachment.name!r} came with another content"
        raise RemoteProtocolError(reason=reason)


@contextmanager
def _new_file(target: Path) -> Iterator[Callable[[bytes], None]]:
    """Writes a file that gets its name when all went well, and else never was."""
    told = f"{target} cannot be written"
    prefix = f".{target.name[:40]}."  # with what is added, no longer than names may be
    with _told(told):
        fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=prefix)
    file = os.fdopen(fd, "wb")

    def write(piece: bytes) -> None:
        with _told(told):
            file.write(piece)

    try:
        yield write
        with _told(told):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):  # what it could not write before, it cannot now
            file.close()
        with suppress(OSError):
            Path(temporary).unlink(missing_ok=True)
        raise


class _Source:
    """What is uploaded; the one place where it is read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name

    def digest(self) -> tuple[str, int]:
        """Its SHA-256 and its size. Raises `BoundExceeded` as soon as that is known."""
        digest, size = hashlib.sha256(), 0
        with _told(f"{self._name} cannot be read"):
            _check_size(self._file.seek(0, os.SEEK_END))
            self._file.seek(0)
            while piece := self._file.read(CHUNK):
                digest.update(piece)
                size += len(piece)
                _check_size(size)  # it may grow, or be no file with an end
        return digest.hexdigest(), size

    def read(self, at: int, size: int) -> bytes:
        with _told(f"{self._name} cannot be read"):
            self._file.seek(at)
            piece = self._file.read(size)
        if len(piece) < size:
            raise self.changed()
        return piece

    def changed(self) -> UsageError:
        return UsageError(reason=f"{self._name} changed while it was read")


def _check_size(size: int) -> None:
    if size > MAX_ATTACHMENT:
        raise BoundExceeded(bound="attachment", value=size, limit=MAX_ATTACHMENT)


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[_Source]:
    if isinstance(source, bytes):
        yield _Source(BytesIO(source), "what is uploaded")
        return
    with _told(f"{source} cannot be read"):
        file = Path(source).open("rb")  # noqa: SIM115  (closed below)
    with file:
        yield _Source(file, str(source))


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What the system says of a file is said to the caller, as what it means.

    Also a `ValueError`, of a path that can be none.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(reason=f"{what}: {why}") from error
