"""The wire of a loopback port: streamable HTTP, for who has the token.

A page in a browser can send requests to a port of this machine, so Host and Origin
must be of this machine; other users of it can as well, so the token is asked for. It
is in a file that only the owner of the network can read, and never in a command line
or a log.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from anyio import to_thread
from mcp.server.lowlevel import Server
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ipcbus.doors.mcp.desks import Desks
from ipcbus.doors.mcp.server import SESSION_HEADER, of_session
from ipcbus.errors import PortInUse
from ipcbus.networks import files

HOST: Final = "127.0.0.1"
PATH: Final = "/mcp"
NAMES: Final = frozenset({HOST, "localhost", "[::1]"})
"""What this machine may be called in Host and Origin."""

TOKEN_BYTES: Final = 32

BACKLOG: Final = 128


def token_in(folder: Path) -> tuple[str, Path]:
    """The token of the network of that folder, made at its first use, and its file."""
    path = folder / "mcp.token"
    files.write_private(
        path, secrets.token_urlsafe(TOKEN_BYTES).encode(), replace=False
    )
    return (files.read_private(path) or b"").decode("ascii", "replace").strip(), path


def listen(port: int) -> socket.socket:
    """Raises `PortInUse`."""
    # asyncio turns Nagle's delay (40 ms for each answer) off only if this says TCP.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(BACKLOG)  # who is told of the port may connect at once
    except OSError as error:
        listening.close()
        raise PortInUse(endpoint=f"{HOST}:{port}") from error
    return listening


class Guard:
    """Lets through what comes from this machine and has the token; notices sessions
    that end."""

    def __init__(self, app: ASGIApp, token: str, desks: Desks) -> None:
        self._app = app
        self._token = token.encode()
        self._desks = desks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
        session = headers.get(SESSION_HEADER)
        if scope["method"] == "DELETE" and session:
            await to_thread.run_sync(self._desks.leave, of_session(session))

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        if not _is_here(headers.get("host", "")):
            return PlainTextResponse("this Host is not served\n", 403)
        origin = headers.get("origin")
        if origin is not None and not _is_here(origin.partition("://")[2]):
            return PlainTextResponse("this Origin is not served\n", 403)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(token.strip().encode(), self._token)
        if scheme.lower() != "bearer" or not self._token or not is_right:
            wanted = {"WWW-Authenticate": "Bearer"}
            return PlainTextResponse("a bearer token is needed\n", 401, wanted)
        return None


def _is_here(place: str) -> bool:
    """Whether `host:port` is this machine."""
    name, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal():
        name = place
    return name.lower() in NAMES


class Serving(uvicorn.Server):
    """uvicorn without its handlers of signals: those are the process's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """At once. Answers that are cut off by it would be told as faults."""
        logging.getLogger("uvicorn.error").disabled = True
        self.should_exit = self.force_exit = True


def serving(server: Server[Any], token: str, desks: Desks) -> Serving:
    app = server.streamable_http_app(streamable_http_path=PATH, host=HOST)
    config = uvicorn.Config(
        Guard(app, token, desks),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
    )
    return Serving(config)


async def serve(server: Server[Any], serving: Serving, at: socket.socket) -> None:
    """Until `serving.end()`. What the app's lifespan would do is done here: that of
    uvicorn is not ended when clients still hold their streams."""
    async with server.session_manager.run():
        await serving.serve([at])
