"""Files up and down, verified at both ends."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import pytest

from ipcbus import Attachment, Client
from ipcbus.client import attachments
from ipcbus.errors import NotPermitted, RemoteProtocolError, UsageError
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.limits import CHUNK
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
