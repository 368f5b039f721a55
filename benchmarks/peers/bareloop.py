"""The least that a durable broker in Python must do: the yardstick.

Drain the ROUTER, one row for each message, one transaction (SQLite, WAL, synchronous
FULL, exclusive, the file of the WAL at its size), confirm all, push to the receiver;
acks ride in the next transaction. Clients pack up to a quarter of their window into one
ZeroMQ message. There are no checks, ids, headers, leases, limits, duplicates, expiry or
reading back. Without a store it is the raw relay with batches: it unpacks each, and
packs it anew for who receives it.

From a client: recipient or nothing, then a msgpack list of bodies or the first and the
last number that are acked. To a client: the number of the first and the list of bodies,
or nothing and how many were stored.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import deque
from contextlib import ExitStack
from typing import Any, Final

import apsw
import zmq
from msgpack import packb, unpackb

from benchmarks.peers.base import (
    LAST_BODY,
    PLAIN_BODY,
    Contender,
    Round,
    Tally,
    child,
    free_port,
    stamped_body,
    wait_for_port,
)
from benchmarks.workers import PROJECT

NOBLOCK: Final = int(zmq.NOBLOCK)
MORE: Final = int(zmq.SNDMORE)

ROWS_AT_MOST: Final = 4096
"""Once a turn has taken so many, it stores them: no transaction gets much longer."""

WAL_BYTES: Final = 8 << 20
CHECKPOINT_PAGES: Final = 1024
CACHE_KIB: Final = 16384

IDLE_MS: Final = 20
"""Acks that nothing follows are committed after so long."""

Socket = zmq.Socket[bytes]


class BareLoop(Contender):
    module = "benchmarks.peers.bareloop"
    durable = True
    curve = False

    def start(self) -> dict[str, Any]:
        port, keys = free_port(), zmq.curve_keypair()
        public, secret = (key.decode() if self.curve else "" for key in keys)
        path = str(self.home / "bare.db") if self.durable else ""
        given = {"role": "broker", "port": port, "path": path, "secret": secret}
        command = [sys.executable, "-m", self.module, json.dumps(given)]
        self.pids = [self.run(command, PROJECT).pid]
        wait_for_port(port)
        return {"port": port, "public": public}


class BareLoopCurve(BareLoop):
    curve = True


class RelayInBatches(BareLoop):
    durable = False


# --- the broker ---------------------------------------------------------------------


class Table:
    """One row for each message that waits."""

    def __init__(self, path: str) -> None:
        self._db = db = apsw.Connection(path)
        self._pages = 0
        db.pragma("locking_mode", "exclusive")
        if db.pragma("journal_mode", "wal") != "wal":
            raise RuntimeError("SQLite has no write-ahead log here")
        db.pragma("synchronous", "full")
        db.pragma("journal_size_limit", -1)
        db.pragma("cache_size", -CACHE_KIB)
        db.execute("CREATE TABLE m(seq INTEGER PRIMARY KEY, box BLOB, body BLOB)")
        db.set_wal_hook(self._count)
        db.execute("INSERT INTO m VALUES(0, '', zeroblob(?))", (WAL_BYTES,))
        db.execute("DELETE FROM m")
        db.wal_checkpoint()

    def _count(self, db: apsw.Connection, name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def commit(self, rows: list[Any], acks: list[Any]) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO m VALUES(?, ?, ?)", rows)
        db.executemany("DELETE FROM m WHERE seq BETWEEN ? AND ?", acks)
        db.execute("COMMIT")
        if self._pages > CHECKPOINT_PAGES:
            db.wal_checkpoint()


class Broker:
    def __init__(self, socket: Socket, table: Table | None) -> None:
        self._socket = socket
        self._table = table
        self._seq = 0
        self._rows: list[tuple[int, bytes, bytes]] = []
        self._acks: list[tuple[int, int]] = []
        self._said: list[tuple[bytes, bytes, bytes]] = []

    def serve(self) -> None:
        poll = self._socket.poll
        while True:
            idle = not poll(IDLE_MS if self._acks else None)
            self._drain()
            if self._rows or (idle and self._acks):
                self._commit()
            self._say()

    def _drain(self) -> None:
        recv = self._socket.recv
        while len(self._rows) < ROWS_AT_MOST:
            try:
                peer = recv(NOBLOCK)
            except zmq.Again:
                return
            to, packed = recv(), recv()
            if to:
                self._take(peer, to, packed)
            else:
                self._acks.append(unpackb(packed))

    def _take(self, peer: bytes, to: bytes, packed: bytes) -> None:
        bodies = unpackb(packed)
        first = self._seq + 1
        self._rows += [(seq, to, body) for seq, body in enumerate(bodies, first)]
        self._seq += len(bodies)
        self._said.append((peer, b"", packb(len(bodies))))
        if self._table is None:
            packed = packb(bodies)
        self._said.append((to, packb(first), packed))

    def _commit(self) -> None:
        if self._table is not None:
            self._table.commit(self._rows, self._acks)
        self._rows, self._acks = [], []

    def _say(self) -> None:
        send = self._socket.send
        for peer, head, packed in self._said:
            send(peer, MORE)
            send(head, MORE)
            send(packed)
        self._said = []


def broker(given: dict[str, Any]) -> None:
    socket: Socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.sndhwm = socket.rcvhwm = socket.linger = 0
    if given["secret"]:
        socket.curve_server = True
        socket.curve_secretkey = given["secret"].encode()
    socket.bind(f"tcp://127.0.0.1:{given['port']}")
    serving = Broker(socket, Table(given["path"]) if given["path"] else None)
    gc.freeze()
    gc.disable()
    serving.serve()


# --- its clients --------------------------------------------------------------------


def make(given: dict[str, Any], number: int, stack: ExitStack) -> Round:
    socket: Socket = zmq.Context.instance().socket(zmq.DEALER)
    stack.callback(socket.close, 0)
    socket.sndhwm = socket.rcvhwm = socket.linger = 0
    if given["public"]:
        socket.curve_serverkey = given["public"].encode()
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    mine = "r" if given["role"] == "receive" else "s"
    socket.routing_id = f"{mine}{number}".encode()
    socket.connect(f"tcp://127.0.0.1:{given['port']}")
    if given["role"] == "receive":
        return lambda seconds: _receive(socket)
    to, window = f"r{number}".encode(), given["job"].window
    return lambda seconds: _send(socket, to, window, seconds)


def _send(socket: Socket, to: bytes, window: int, seconds: float) -> dict[str, Any]:
    tally, size = Tally(), max(1, window // 4)
    end, sent_at = tally.began + seconds, deque[int]()
    filler = [PLAIN_BODY] * (size - 1)

    def hear() -> None:
        socket.recv()
        socket.recv()
        tally.sent(sent_at.popleft())

    while time.monotonic() < end:
        while (len(sent_at) + 1) * size > window:
            hear()
        at, stamped = stamped_body()
        socket.send(to, MORE)
        socket.send(packb([stamped, *filler]))
        sent_at.append(at)
        tally.count += size
    while sent_at:
        hear()
    socket.send(to, MORE)
    socket.send(packb([LAST_BODY]))
    socket.recv()
    socket.recv()
    return tally.told()


def _receive(socket: Socket) -> dict[str, Any]:
    tally, more = Tally(), True
    while more:
        first: int = unpackb(socket.recv())
        bodies = unpackb(socket.recv())
        for body in bodies:
            more = tally.received(body)
        socket.send(b"", MORE)
        socket.send(packb((first, first + len(bodies) - 1)))
    return tally.told()


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    if told["role"] == "broker":
        broker(told)
    else:
        child(make)
