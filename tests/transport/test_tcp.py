"""What is read off a borrowed descriptor, and that it is left as it was."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from ipcbus.transport.tcp import bytes_received, shut_down


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            yield client, accepted


def test_bytes_count_whether_anybody_read_them_or_not(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = pair
    assert bytes_received(accepted.fileno()) == 0
    for total in (1000, 2000):
        client.sendall(b"x" * 1000)
        accepted.recv(1000, socket.MSG_WAITALL)
        assert bytes_received(accepted.fileno()) == total
    client.sendall(b"answered")
    accepted.recv(1, socket.MSG_PEEK)
    assert bytes_received(accepted.fileno()) == 2008
    accepted.sendall(b"still usable")


def test_what_is_no_tcp_connection_has_received_nothing() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    one, other = socket.socketpair()
    with one, other:
        assert bytes_received(null) == 0
        assert bytes_received(one.fileno()) == 0
        os.close(null)
        assert bytes_received(null) == 0


def test_a_connection_shut_down_ends_for_both(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = pair
    shut_down(accepted.fileno())
    assert client.recv(1) == b""
    assert accepted.recv(1) == b""
    assert accepted.fileno() >= 0, "it is still its owner's to close"
