"""One TCP connection of an old program, from its first byte to its end.

    READING    until a JSON object is whole, the time is over, or it cannot be one
    ANSWERING  nothing is heard meanwhile
    WRITING    until all of the answer has been taken by the kernel
    PARTING    our side is closed; the other side closes (it has read), resets (it has
               not, and the answer is as good as never written), or the time is over

What TCP tells of an answer: a program that ends or closes with unread bytes makes its
kernel send a reset; one that has read all of them makes it send an end. One that does
neither in time is taken to have read what its kernel has confirmed.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from termios import TIOCOUTQ
from typing import Final, Protocol

from ipcbus_bridges.claude_ipc import wording
from ipcbus_bridges.claude_ipc.desk import Answer
from ipcbus_bridges.claude_ipc.framing import BadRequest, Framing
from ipcbus_bridges.claude_ipc.limits import Limits

PIECE: Final = 64 * 1024
"""Bytes read at once, so that nobody keeps the others waiting for long."""

WRITE_S: Final = 3.0
PART_S: Final = 2.0

UNSURE_S: Final = 0.25
LOOK_S: Final = 0.02
"""How long, and how often, a socket is looked at whose other side had closed its own
half before it was answered: no event tells that it has read, but a reset that it has
not."""

MAX_REST: Final = 4 * 1024 * 1024
"""Bytes that are read and thrown away behind a request that was refused: to close at
once would reset the connection, and take the answer away from who still sends."""


class Stage(Enum):
    READING = 1
    ANSWERING = 2
    WRITING = 3
    PARTING = 4
    OVER = 5


class House(Protocol):
    """What a connection needs of the server.

    `holds` is told how many bytes more or fewer of requests are held, and says False if
    that is too many; `heard` that no more of the request is waited for; `over` that the
    connection has ended.
    """

    handle: Callable[[bytes], Awaitable[Answer]]
    limits: Limits

    def holds(self, more: int) -> bool: ...

    def heard(self, connection: Connection) -> None: ...

    def over(self, connection: Connection) -> None: ...


class Connection:
    """Attributes:
    deadline: when its stage is over at the latest, in monotonic seconds.
    """

    def __init__(self, sock: socket.socket, house: House) -> None:
        self.stage = Stage.READING
        self.deadline = time.monotonic() + house.limits.request_time
        self._framing: Framing | None = None
        self._left = memoryview(b"")
        self._sock = sock
        self._fd = sock.fileno()
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._answer = Answer(b"")
        self._held = 0
        self._rest = 0
        self._half_closed = False
        self._listens = self._writes = False
        self._task: asyncio.Future[None] | None = None
        self._listen()

    def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            self._loop.add_reader(self._fd, self._readable)

    def _stop_listening(self) -> None:
        if self._listens:
            self._listens = False
            self._loop.remove_reader(self._fd)

    # --- reading ---------------------------------------------------------------------

    def _readable(self) -> None:
        if self.stage not in (Stage.READING, Stage.PARTING):
            self._stop_listening()  # it says more, or has gone: that can wait
            return
        try:
            piece = self._sock.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.end(was_read=False)
            return
        if self.stage is Stage.PARTING:
            self._more(piece)
        elif piece:
            self._grow(piece)
        else:
            self._end_of_request()

    def _grow(self, piece: bytes) -> None:
        if self._framing is None:
            self._framing = Framing(self._house.limits.request_size)
        self._held += len(piece)
        has_room = self._house.holds(len(piece))
        try:
            is_whole = self._framing.feed(piece)
        except BadRequest as error:
            self.refuse(str(error))
            return
        if not has_room:
            self.refuse(wording.TOO_MANY)
        elif is_whole:
            self._begin_answering()

    def _end_of_request(self) -> None:
        self._half_closed = True
        if self._is_silent():
            self.end(was_read=False)  # it wanted nothing
        else:
            self.refuse(wording.NOT_WHOLE)

    def _is_silent(self) -> bool:
        return self._framing is None or not self._framing.data

    def refuse(self, reason: str) -> None:
        """Answer with an error, whatever is still to come."""
        self._house.heard(self)
        self._write(Answer(wording.packed(wording.error(reason))))

    # --- answering -------------------------------------------------------------------

    def _begin_answering(self) -> None:
        assert self._framing is not None
        self._house.heard(self)
        self.stage, self.deadline = Stage.ANSWERING, float("inf")
        raw = bytes(self._framing.data)
        self._framing = None
        self._task = asyncio.ensure_future(self._carry_out(raw))

    async def _carry_out(self, raw: bytes) -> None:
        answer = await self._house.handle(raw)
        if self.stage is Stage.ANSWERING:
            self._write(answer)
        elif answer.fate is not None and not answer.fate.done():
            answer.fate.set_result(False)

    # --- writing ---------------------------------------------------------------------

    def _write(self, answer: Answer) -> None:
        self.stage, self.deadline = Stage.WRITING, time.monotonic() + WRITE_S
        self._answer = answer
        self._let_go()
        if answer.fate is not None and not self._half_closed:
            self._half_closed = self._has_ended()
        self._left = memoryview(answer.data)
        self._writable()

    def _let_go(self) -> None:
        """Of the bytes of the request."""
        self._framing = None
        self._house.holds(-self._held)
        self._held = 0

    def _has_ended(self) -> bool:
        """Whether the other side has said its last word before it was answered."""
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return False

    def _writable(self) -> None:
        try:
            self._left = self._left[self._sock.send(self._left) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.end(was_read=False)
            return
        if self._left:
            self._loop.add_writer(self._fd, self._writable)
            self._writes = True
        else:
            self._stop_writing()
            self._part()

    def _stop_writing(self) -> None:
        if self._writes:
            self._writes = False
            self._loop.remove_writer(self._fd)

    # --- parting ---------------------------------------------------------------------

    def _part(self) -> None:
        self.stage, self.deadline = Stage.PARTING, time.monotonic() + PART_S
        if self._half_closed and self._answer.fate is not None:
            # Once both sides have said their last word, no reset is sent any more.
            self._stop_listening()
            self._look()
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.end(was_read=False)
            return
        self._listen()

    def _more(self, piece: bytes) -> None:
        self._rest += len(piece)
        if not piece:
            # An end may hide a reset: one that had closed before it was answered.
            self.end(was_read=not self._error())
        elif self._rest > MAX_REST:
            self.end(was_read=False)

    def _look(self) -> None:
        """At a socket that has nothing more to tell but a reset."""
        if self.stage is not Stage.PARTING:
            return
        if self._error():
            self.end(was_read=False)
        elif self.deadline - time.monotonic() < PART_S - UNSURE_S and self.is_out():
            self.end(was_read=True)
        else:
            self._loop.call_later(LOOK_S, self._look)

    def _error(self) -> int:
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def is_out(self) -> bool:
        """Whether the other side's kernel has all of the answer."""
        try:
            left = fcntl.ioctl(self._sock, TIOCOUTQ, bytes(4))
        except OSError:
            return False
        return not any(struct.unpack("i", left))

    # --- the end ---------------------------------------------------------------------

    def late(self) -> None:
        """The time of a stage is over."""
        if self.stage is Stage.READING:
            if self._is_silent():
                self.end(was_read=False)
            else:
                self.refuse(wording.TOO_LATE)
        elif self.stage is Stage.WRITING:
            self.end(was_read=False)
        elif self.stage is Stage.PARTING:
            self.end(was_read=self.is_out() and not self._error())

    def end(self, *, was_read: bool) -> None:
        if self.stage is Stage.OVER:
            return
        if self.stage is not Stage.PARTING:
            was_read = False
        self.stage = Stage.OVER
        self._stop_listening()
        self._stop_writing()
        with suppress(OSError):
            self._sock.close()
        fate = self._answer.fate
        if fate is not None and not fate.done():
            fate.set_result(was_read)
        self._let_go()
        self._house.over(self)
