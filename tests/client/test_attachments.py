"""Files up and down, verified at both ends."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ipcbus import Attachment, Client
from ipcbus.client import attachments
from ipcbus.errors import (
    BoundExceeded,
    NotPermitted,
    RemoteProtocolError,
    UsageError,
)
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.limits import CHUNK, MAX_ATTACHMENT
from tests.client.conftest import Connect


@pytest.fixture
def big() -> bytes:
    return os.urandom(3 * CHUNK + 17)


def test_a_file_goes_to_another_agent(
    alice: Client, bob: Client, big: bytes, tmp_path: Path
) -> None:
    source = tmp_path / "big.bin"
    source.write_bytes(big)
    seen: list[tuple[int, int]] = []
    attachment = alice.upload(source, progress=lambda *now: seen.append(now))
    sha256 = hashlib.sha256(big).hexdigest()
    assert attachment == Attachment(sha256, len(big), "big.bin", None)
    assert seen[0] == (0, len(big))
    assert seen[-1] == (len(big), len(big))
    alice.send("bob", "look", attach=(attachment,))
    (message,) = bob.receive(timeout=5)
    assert message.attachments == (attachment,)
    target = bob.download(message.attachments[0], tmp_path / "copy.bin")
    assert target.read_bytes() == big


@pytest.mark.parametrize("content", [b"", b"x"])
def test_small_and_empty_ones(alice: Client, tmp_path: Path, content: bytes) -> None:
    attachment = alice.upload(content, "small", content_type="text/plain")
    assert attachment.content_type == "text/plain"
    path = alice.download(attachment, tmp_path / "small")
    assert path.read_bytes() == content


def test_what_is_there_is_not_sent_again(alice: Client, big: bytes) -> None:
    alice.upload(big)
    seen: list[int] = []
    alice.upload(big, progress=lambda done, _: seen.append(done))
    assert seen == [len(big)]


@pytest.mark.security
def test_a_hash_alone_gets_nothing(
    alice: Client, bob: Client, big: bytes, tmp_path: Path
) -> None:
    attachment = alice.upload(big)
    with pytest.raises(NotPermitted):
        bob.download(attachment, tmp_path / "stolen")
    assert list(tmp_path.iterdir()) == []


def test_a_download_with_another_content_never_gets_its_name(
    alice: Client, big: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attachment = alice.upload(big)
    target = tmp_path / "kept"
    target.write_bytes(b"as before")
    with pytest.raises(RemoteProtocolError, match="another content"):
        alice.download(attachment._replace(size=attachment.size + 1), target)
    assert target.read_bytes() == b"as before"
    assert list(tmp_path.iterdir()) == [target]


def test_files_that_cannot_be_read_or_written(alice: Client, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        alice.upload(tmp_path / "missing")
    attachment = alice.upload(b"x")
    with pytest.raises(UsageError, match="cannot be written"):
        alice.download(attachment, tmp_path / "no" / "folder")


@pytest.mark.parametrize("path", ["a\0b", "x" * 300, "."])
def test_a_path_that_can_be_no_file(
    alice: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        alice.upload(path)
    with pytest.raises(UsageError, match="cannot be written"):
        alice.download(alice.upload(b"x"), path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_have_the_longest_name(alice: Client, tmp_path: Path) -> None:
    path = alice.download(alice.upload(b"x"), tmp_path / ("n" * 255))
    assert path.read_bytes() == b"x"


class FailingFile(BytesIO):
    """A file on a disk that fails at the `fails_at`th read or write."""

    def __init__(self, content: bytes, fails_at: int, error: OSError) -> None:
        super().__init__(content)
        self._left, self._error = fails_at, error

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._error

    def read(self, size: int | None = -1, /) -> bytes:
        self._count()
        return super().read(size)

    def write(self, data: Any, /) -> int:
        self._count()
        return super().write(data)

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_RDONLY)


@pytest.mark.parametrize("fails_at", [0, 2, 4, 6])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "bad disk"), OSError("bad disk")])
def test_a_file_that_cannot_be_read_to_its_end(
    alice: Client,
    big: bytes,
    monkeypatch: pytest.MonkeyPatch,
    fails_at: int,
    error: OSError,
) -> None:
    with monkeypatch.context() as patch:
        failing = FailingFile(big, fails_at, error)
        patch.setattr(Path, "open", lambda *_: failing)
        with pytest.raises(UsageError, match="cannot be read: bad disk"):
            alice.upload("a.bin")
    assert alice.upload(big).size == len(big)


@pytest.mark.parametrize("fails_at", [0, 2])
def test_a_disk_that_gets_full_leaves_nothing(
    alice: Client,
    big: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails_at: int,
) -> None:
    attachment = alice.upload(big)
    full = OSError(errno.ENOSPC, "No space left on device")

    def opened(fd: int, mode: str) -> BytesIO:
        os.close(fd)
        return FailingFile(b"", fails_at, full)

    target = tmp_path / "kept"
    target.write_bytes(b"as before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", opened)
        with pytest.raises(UsageError, match="cannot be written: No space left"):
            alice.download(attachment, target)
    assert target.read_bytes() == b"as before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_is_found_full_by_the_sync_leaves_nothing(
    alice: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attachment = alice.upload(b"x")

    def fsync(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UsageError, match="cannot be written: No space left"):
            alice.download(attachment, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
def test_a_file_that_changes_while_it_is_read_is_told_so(
    alice: Client, big: bytes, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "log"
    path.write_bytes(big)
    changed = {
        "longer": b"x" + big,
        "shorter": big[:-CHUNK],
        "other": bytes(len(big)),
    }[change]

    def progress(done: int, size: int) -> None:
        if not done:
            path.write_bytes(changed)

    with pytest.raises(UsageError, match="changed while it was read") as raised:
        alice.upload(path, progress=progress)
    assert type(raised.value) is UsageError
    again = alice.upload(path)
    assert (again.size, again.sha256) == (
        len(changed),
        hashlib.sha256(changed).hexdigest(),
    )


def test_a_file_that_grows_is_sent_as_it_was_when_it_was_begun(
    alice: Client, big: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_bytes(big)

    def progress(done: int, size: int) -> None:
        with path.open("ab") as file:
            file.write(b"one more line")

    attachment = alice.upload(path, progress=progress)
    assert alice.download(attachment, tmp_path / "copy").read_bytes() == big


def test_a_file_that_is_too_large_is_not_read_first(
    alice: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(MAX_ATTACHMENT + 1)
    with pytest.raises(BoundExceeded) as raised:
        alice.upload(path)
    assert raised.value.value == MAX_ATTACHMENT + 1
    monkeypatch.setattr(attachments, "MAX_ATTACHMENT", CHUNK)
    with pytest.raises(BoundExceeded):
        alice.upload("/dev/zero")


def test_what_a_progress_raises_is_its_own(alice: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")

    def progress(done: int, size: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        alice.upload(path, progress=progress)
    attachment = alice.upload(path)
    with pytest.raises(BrokenPipeError):
        alice.download(attachment, tmp_path / "copy", progress=progress)
    assert list(tmp_path.iterdir()) == [path]


def test_one_file_may_be_uploaded_by_two_at_once(
    alice: Client, connect: Connect, big: bytes, tmp_path: Path
) -> None:
    """Two sessions of one agent, the second of which begins in the midst and is done
    first."""
    other = connect("alice")
    second: list[Attachment] = []

    def progress(done: int, size: int) -> None:
        if done and not second:
            second.append(other.upload(big))

    attachment = alice.upload(big, progress=progress)
    assert second == [attachment]
    path = alice.download(attachment, tmp_path / "whole")
    assert path.read_bytes() == big


def test_an_empty_file_can_be_sent_by_many(
    alice: Client, bob: Client, tmp_path: Path
) -> None:
    for client, to in ((alice, bob), (alice, bob), (bob, alice)):
        assert to.agent is not None
        client.send(to.agent, "nothing in it", attach=(client.upload(b"", "empty"),))
        (message,) = to.receive(timeout=5)
        path = to.download(message.attachments[0], tmp_path / "empty")
        assert path.read_bytes() == b""
        message.ack()


@pytest.mark.chaos
def test_an_upload_lives_through_a_takeover(
    network: Network, broker: BrokerInfo, connect: Connect, big: bytes, tmp_path: Path
) -> None:
    alice = connect("alice")
    killed: list[int] = []

    def progress(done: int, size: int) -> None:
        if 0 < done < size and not killed:
            killed.append(done)
            os.kill(broker.pid, signal.SIGKILL)

    attachment = attachments.upload(alice, big, progress=progress)
    assert killed
    assert alice.epoch > broker.epoch
    path = alice.download(attachment, tmp_path / "whole")
    assert path.read_bytes() == big


def test_an_attachment_that_was_not_uploaded_cannot_be_sent(alice: Client) -> None:
    with pytest.raises(UsageError, match="not uploaded"):
        alice.send("alice", attach=(Attachment("0" * 64, 1, "x"),))
