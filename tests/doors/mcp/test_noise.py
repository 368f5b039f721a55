"""What is no HTTP on the port of the MCP server: refused or not answered, and who has
the token is served meanwhile."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.doors.mcp.conftest import quiet_environment
from tests.doors.mcp.model import COMMAND, WAIT_S, Served
from tests.transport.test_hostile import NOISE

pytestmark = pytest.mark.security

HEARD_S = 1.0
KNOWN = {"http": b"401"}
"""The one that is HTTP is told that it has no token."""


@pytest.fixture(scope="module")
def served(bus: Path) -> Iterator[Served]:
    """Like `served_by_http`, but it may say of each that it was no request."""
    command = [*COMMAND, "--http", "0", "--network", "dev", "--as", "model"]
    with Popen(command, stderr=PIPE, text=True, env=quiet_environment()) as process:
        assert process.stderr is not None
        try:
            said = [process.stderr.readline(), process.stderr.readline()]
            path = Path(said[0].rpartition("token is in ")[2].strip())
            yield Served(said[1].rpartition(" at ")[2].strip(), path, process, said)
        finally:
            process.terminate()
            process.wait(WAIT_S)
            rest = process.stderr.read().splitlines()
    assert process.returncode == 0
    assert set(rest) <= {"Invalid HTTP request received."}


def answer_to(served: Served, noise: bytes) -> bytes:
    """What is said within a moment, or before it closes."""
    address = urlsplit(served.url)
    heard = b""
    with socket.create_connection((address.hostname, address.port), HEARD_S) as line:
        with contextlib.suppress(OSError):
            line.sendall(noise)
            while piece := line.recv(4096):
                heard += piece
        assert is_let_in(served), "while that connection is there, too"
    return heard


def is_let_in(served: Served) -> bool:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {
        "accept": "application/json, text/event-stream",
        "authorization": f"Bearer {served.token}",
    }
    answer = httpx2.post(served.url, json=asked, headers=headers)
    return answer.status_code not in (401, 403, 404)


@pytest.mark.parametrize("kind", NOISE)
def test_noise_is_refused_or_not_answered_and_harms_nobody(
    served: Served, kind: str
) -> None:
    heard = answer_to(served, NOISE[kind])
    refused = heard.startswith(b"HTTP/1.1 4")
    assert not heard or refused
    assert KNOWN.get(kind, b"") in heard
    assert served.token.encode() not in heard
