"""Writing a file whole or not at all."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from ipcbus.errors import UnsafeFolder
from ipcbus.networks import Network, files, write_private


def test_a_file_is_replaced_whole_and_nothing_else_is_left(network: Network) -> None:
    path = network.folder / "note"
    assert write_private(path, b"one")
    assert write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(network.folder.glob(".note*"))


def test_a_file_that_is_there_stays_if_it_shall_not_be_replaced(
    network: Network,
) -> None:
    path = network.folder / "note"
    assert write_private(path, b"one", replace=False)
    assert not write_private(path, b"two", replace=False)
    assert path.read_bytes() == b"one"
    assert not list(network.folder.glob(".note*"))


def test_of_many_writers_that_may_not_replace_exactly_one_wins(
    network: Network,
) -> None:
    path, won = network.folder / "note", []

    def write(number: int) -> None:
        if write_private(path, b"%d" % number, replace=False):
            won.append(b"%d" % number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert won == [path.read_bytes()]


def test_a_reader_never_sees_half_a_file(network: Network) -> None:
    path, done = network.folder / "note", threading.Event()
    write_private(path, b"0" * 5000)

    def write() -> None:
        for number in range(50):
            write_private(path, b"%d" % (number % 10) * 5000)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        data = files.read_private(path)
        assert data is not None
        assert len(data) == 5000
        assert len(set(data)) == 1
    writer.join()


def test_a_folder_that_is_gone_is_an_error_of_ours(home: Path) -> None:
    with pytest.raises(UnsafeFolder, match="cannot be written"):
        write_private(home / "missing" / "note", b"")


def test_a_write_that_fails_leaves_nothing(network: Network) -> None:
    (network.folder / "note").mkdir()
    with pytest.raises(UnsafeFolder):
        write_private(network.folder / "note", b"one")
    assert not list(network.folder.glob(".note*"))


def test_a_missing_file_is_nothing(home: Path) -> None:
    assert files.read_private(home / "note") is None
