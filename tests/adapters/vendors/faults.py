"""A server that answers as it is told to, for what no well-made one does."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """One answer.

    Attributes:
        body: text, or what JSON is made of.
        is_cut: the connection ends before all that was announced has come.
        is_silent: there is no answer at all, until the client goes.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = {}
    is_cut: bool = False
    is_silent: bool = False


class Request(NamedTuple):
    path: str
    headers: Mapping[str, str]
    body: Any


class Faulty:
    """Serves from its start, on a free port, until it is closed."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = [*replies]
        self.requests: list[Request] = []
        self.came = threading.Event()
        self.left = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.faulty = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    faulty: Faulty


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size))
        faulty = self.server.faulty
        reply = faulty.answer(Request(self.path, dict(self.headers.items()), body))
        if reply.is_silent:
            faulty.came.set()
            with suppress(OSError):
                self.connection.recv(1)  # until there is nobody any more
            faulty.left.set()
            return
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        is_text = isinstance(reply.body, str)
        text = (reply.body if is_text else json.dumps(reply.body)).encode()
        is_stream = is_text and text.startswith((b"data:", b"event:"))
        kind = "text/event-stream" if is_stream else "application/json"
        self.send_response(reply.status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(text) + 1000 * reply.is_cut))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass  # a test speaks by its assertions
