"""Keys: who may read them, what is in them, and what never gets out."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

from ipcbus.errors import IpcbusError, StaleFile, UnsafeFolder
from ipcbus.networks import Network
from ipcbus.transport import keys

pytestmark = pytest.mark.security


def test_a_key_is_made_once_and_read_ever_after(network: Network) -> None:
    made = keys.create(network.operator_key)
    assert keys.create(network.operator_key) == keys.load(network.operator_key) == made


def test_a_key_file_is_for_its_owner_alone_whatever_the_umask(network: Network) -> None:
    before = os.umask(0)
    try:
        keys.create(network.key_path("alice"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(network.key_path("alice").stat().st_mode) == 0o600
    assert stat.S_IMODE(network.keys.stat().st_mode) == 0o700


def test_of_many_makers_at_once_all_get_the_same_key(network: Network) -> None:
    made: list[keys.KeyPair] = []
    path = network.key_path("bob")
    makers = [
        threading.Thread(target=lambda: made.append(keys.create(path)))
        for _ in range(8)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert [child.name for child in path.parent.iterdir()] == ["bob.key"]


def test_keys_are_hex_in_files_and_z85_for_zeromq() -> None:
    pair = keys.generate()
    assert keys.is_key(pair.public)
    assert keys.is_key(pair.secret)
    assert zmq.curve_public(keys.z85(pair.secret)) == keys.z85(pair.public)


def test_the_secret_is_not_in_the_repr_nor_in_any_text_of_the_pair() -> None:
    pair = keys.generate()
    for text in (repr(pair), str(pair), f"{pair}", f"{[pair]}"):
        assert pair.secret not in text
        assert pair.public in text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_key_that_others_may_read_or_write_is_refused(
    network: Network, mode: int
) -> None:
    keys.create(network.operator_key)
    network.operator_key.chmod(mode)
    with pytest.raises(UnsafeFolder, match=f"mode {mode:04o}.*chmod 600"):
        keys.load(network.operator_key)


def test_a_key_of_another_user_is_refused(
    network: Network, missing_part: Callable[[str], None]
) -> None:
    if os.geteuid() != 0:
        missing_part("root, to give a file to another user")
    keys.create(network.operator_key)
    os.chown(network.operator_key, 12345, -1)
    with pytest.raises(UnsafeFolder, match="belongs to user id 12345"):
        keys.load(network.operator_key)


def test_a_key_behind_a_symbolic_link_is_refused(network: Network) -> None:
    keys.create(network.operator_key)
    network.server_key.symlink_to(network.operator_key)
    with pytest.raises(UnsafeFolder):
        keys.load(network.server_key)


def test_a_fifo_in_place_of_a_key_is_refused_and_does_not_block(
    network: Network,
) -> None:
    os.mkfifo(network.operator_key, 0o600)
    with pytest.raises(StaleFile):
        keys.load(network.operator_key)


GOOD = keys.generate()
OTHER = keys.generate()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 60_000,
        b"{" * 200_000,
        json.dumps({"public": GOOD.public}).encode(),
        json.dumps({"public": GOOD.public, "secret": GOOD.secret[:-1]}).encode(),
        json.dumps({"public": GOOD.public, "secret": GOOD.secret.upper()}).encode(),
        json.dumps({"public": GOOD.public, "secret": GOOD.secret + "\n"}).encode(),
        json.dumps({"public": 1, "secret": GOOD.secret}).encode(),
        json.dumps({"public": OTHER.public, "secret": GOOD.secret}).encode(),
    ],
    ids=[
        "empty",
        "no text",
        "a list",
        "nothing in it",
        "lists without end",
        "objects without end",
        "no secret",
        "short",
        "upper case",
        "with a newline",
        "a number",
        "of two pairs",
    ],
)
def test_what_is_not_a_key_pair_is_refused_and_not_shown(
    network: Network, content: bytes
) -> None:
    network.operator_key.write_bytes(content)
    network.operator_key.chmod(0o600)
    with pytest.raises(StaleFile) as caught:
        keys.load(network.operator_key)
    assert GOOD.secret[:16] not in _everything_said(caught.value)


def test_a_missing_key_is_an_error_of_ours(home: Path) -> None:
    with pytest.raises(StaleFile, match="there is no such key"):
        keys.load(home / "operator.key")


def _everything_said(error: IpcbusError) -> str:
    return f"{error} {error!r} {error.__cause__} {error.__cause__!r} {error.facts}"
