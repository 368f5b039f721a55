"""The sockets of the door alone: what becomes of answers, and the bounds of all."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

import ipcbus
from ipcbus_bridges.claude_ipc import connection, server
from ipcbus_bridges.claude_ipc.desk import Answer
from ipcbus_bridges.claude_ipc.limits import DEFAULTS, Limits
from ipcbus_bridges.claude_ipc.server import HOST, Server, listen
from tests.bridges.claude_ipc.old import OLD_BUFFER
from tests.waiting import until_async

REQUEST = b'{"action": "check"}'
WORDS = b'{"status": "ok"}'
BOUND_S = 30.0
LIMITS = DEFAULTS._replace(request_time=BOUND_S)


class Room:
    """A server whose answers have fates, and what became of these."""

    def __init__(self, limits: Limits) -> None:
        self.listener = listen(0)
        self.port: int = self.listener.getsockname()[1]
        self.fates: list[asyncio.Future[bool]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.words = WORDS
        self.server = Server(self.listener, self._handle, limits)

    async def _handle(self, raw: bytes) -> Answer:
        fate: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.fates.append(fate)
        await self.go.wait()
        return Answer(self.words, fate)

    async def connected(self) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (HOST, self.port))
        return sock

    async def asked(self) -> socket.socket:
        """A connection that has sent its request, which is being carried out."""
        before = len(self.fates)
        sock = await self.connected()
        await asyncio.get_running_loop().sock_sendall(sock, REQUEST)
        await until_async(lambda: len(self.fates) > before)
        return sock

    async def fate(self) -> bool:
        return await asyncio.wait_for(self.fates[-1], BOUND_S)

    async def close(self) -> None:
        await until_async(lambda: len(self.server) == 0)
        assert self.server.held == 0
        await self.server.close()


async def read(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    return await asyncio.wait_for(loop.sock_recv(sock, OLD_BUFFER), BOUND_S)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def run(test: Callable[[Room], Awaitable[None]], limits: Limits = LIMITS) -> None:
    async def main() -> None:
        room = Room(limits)
        try:
            await test(room)
        finally:
            room.go.set()
        await room.close()

    asyncio.run(main())


def test_who_reads_all_and_closes_has_read() -> None:
    async def test(room: Room) -> None:
        sock = await room.asked()
        assert await read(sock) == WORDS
        assert await read(sock) == b""
        sock.close()
        assert await room.fate()

    run(test)


def test_who_closes_with_something_unread_has_not_read() -> None:
    async def test(room: Room) -> None:
        sock = await room.asked()
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(sock, 1) == WORDS[:1]
        sock.close()
        assert not await room.fate()

    run(test)


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_who_leaves_before_the_answer_has_not_read(
    leave: Callable[[socket.socket], None],
) -> None:
    async def test(room: Room) -> None:
        room.go.clear()
        sock = await room.asked()
        leave(sock)
        room.go.set()
        assert not await room.fate()

    run(test)


@pytest.mark.parametrize("reads", [True, False])
def test_of_one_that_closed_its_half_a_reset_is_waited_for(
    reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not reads:
        monkeypatch.setattr(connection, "UNSURE_S", BOUND_S)
        monkeypatch.setattr(connection, "PART_S", BOUND_S)

    async def test(room: Room) -> None:
        room.go.clear()
        sock = await room.asked()
        sock.shutdown(socket.SHUT_WR)
        room.go.set()
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(sock, OLD_BUFFER if reads else 1)
        sock.close()
        assert await room.fate() is reads

    run(test)


def test_who_keeps_the_connection_has_read_what_its_system_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "PART_S", 0.1)

    async def test(room: Room) -> None:
        sock = await room.asked()
        assert await room.fate()
        assert await read(sock) == WORDS
        sock.close()

    run(test)


def test_what_cannot_be_written_in_time_was_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "WRITE_S", 0.1)

    async def test(room: Room) -> None:
        room.words = b"x" * 50_000_000  # more than both systems hold
        sock = await room.asked()
        assert not await room.fate()
        sock.close()

    run(test)


def test_a_reader_that_takes_it_in_pieces_gets_all() -> None:
    async def test(room: Room) -> None:
        room.words = b"y" * 5_000_000
        sock = await room.asked()
        size = 0
        while piece := await read(sock):
            size += len(piece)
        sock.close()
        assert size == len(room.words)
        assert await room.fate()

    run(test)


def test_slow_silent_and_deaf_ones_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PART_S", 0.1)

    async def test(room: Room) -> None:
        loop = asyncio.get_running_loop()
        silent, slow = await room.connected(), await room.connected()
        await loop.sock_sendall(slow, b'{"action": ')
        deaf = [await room.asked() for _ in range(20)]
        assert "not whole" in json.loads(await read(slow))["message"]
        assert await read(slow) == b""
        assert await read(silent) == b""
        await until_async(lambda: len(room.server) == 0)
        for sock in (silent, slow, *deaf):
            sock.close()

    run(test, LIMITS._replace(request_time=0.5))


def test_a_server_that_ends_gives_up_what_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "GOODBYE_S", 0.1)

    async def test(room: Room) -> None:
        silent, sock = await room.connected(), await room.asked()
        await room.server.close()
        assert await read(silent) == b""
        assert not await room.fate()
        silent.close()
        sock.close()

    run(test)


def test_bytes_that_are_held_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_HELD", 100_000)

    async def test(room: Room) -> None:
        loop = asyncio.get_running_loop()
        socks = [await room.connected() for _ in range(3)]
        for sock in socks:
            await loop.sock_sendall(sock, b'{"a": "' + b"x" * 45_000)
        answers = [json.loads(await read(sock)) for sock in socks[2:]]
        assert "Too many" in answers[0]["message"]
        for sock in socks:
            sock.close()

    run(test)


def test_without_descriptors_silent_ones_are_given_up() -> None:
    async def test(room: Room) -> None:
        silent = [await room.connected() for _ in range(5)]
        await until_async(lambda: len(room.server) == 5)
        room.server.listener = cast(socket.socket, Broken(room.listener))
        sock = await room.connected()
        assert [await read(one) for one in silent] == [b""] * 5
        await asyncio.get_running_loop().sock_sendall(sock, REQUEST)
        assert await read(sock) == WORDS
        for one in (*silent, sock):
            one.close()

    run(test)


class Broken:
    """A listener for which there is no descriptor at first."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self._fails = True

    def accept(self) -> tuple[socket.socket, Any]:
        if self._fails:
            self._fails = False
            raise OSError(errno.EMFILE, "too many open files")
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_the_oldest_unfinished_one_makes_room() -> None:
    async def test(room: Room) -> None:
        loop = asyncio.get_running_loop()
        first, second = await room.connected(), await room.connected()
        await loop.sock_sendall(first, b"{")
        await until_async(lambda: len(room.server) == 2)
        third = await room.connected()
        assert "Too many" in json.loads(await read(first))["message"]
        await loop.sock_sendall(second, REQUEST)
        assert await read(second) == WORDS
        for sock in (first, second, third):
            sock.close()

    run(test, LIMITS._replace(connections=2))


def test_a_port_in_use_is_told() -> None:
    with listen(0) as sock, pytest.raises(ipcbus.errors.PortInUse):
        listen(sock.getsockname()[1])
