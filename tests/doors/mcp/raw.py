"""A server of stdio and its pipes, without any client's code between."""

from __future__ import annotations

import fcntl
import json
import os
import select
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any

from tests.doors.mcp.conftest import quiet_environment
from tests.doors.mcp.model import COMMAND, HANDSHAKE, WAIT_S


class Raw:
    def __init__(self, process: Popen[bytes]) -> None:
        self.process = process
        self._read = b""
        self._id = 0

    def shake_hands(self) -> None:
        asked = {
            "protocolVersion": HANDSHAKE,
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        }
        assert "result" in self.ask("initialize", asked)
        self.say({"method": "notifications/initialized"})

    def call(self, name: str, /, **args: Any) -> dict[str, Any]:
        result = self.ask("tools/call", {"name": name, "arguments": args})["result"]
        answer: dict[str, Any] = json.loads(result["content"][0]["text"])
        return answer

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._id += 1
        self.say({"id": self._id, "method": method, "params": params})
        answer = self.line()
        assert answer["id"] == self._id
        return answer

    def say(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode())
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def line(self) -> dict[str, Any]:
        """Its next line, which must be one JSON object like all of them."""
        assert self.process.stdout is not None
        fd, deadline = self.process.stdout.fileno(), time.monotonic() + WAIT_S
        while b"\n" not in self._read:
            ready, _, _ = select.select([fd], [], [], deadline - time.monotonic())
            assert ready, "no answer"
            piece = os.read(fd, 65536)
            assert piece, "it ended"
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def unread(self) -> int:
        """Bytes that wait in the pipe."""
        assert self.process.stdout is not None
        found = fcntl.ioctl(self.process.stdout, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(found, sys.byteorder)

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it said on stderr."""
        assert self.process.stderr is not None
        code = self.process.wait(WAIT_S)
        return code, self.process.stderr.read().decode()


@contextmanager
def started(*args: str) -> Iterator[Raw]:
    command = [*COMMAND, *args]
    env = quiet_environment()
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=env) as process:
        try:
            yield Raw(process)
        finally:
            if process.poll() is None:
                process.kill()
