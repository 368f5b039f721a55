"""A proxy before the model: keeps each request as it was sent, and may act on it.

What a program says to its model is the only proof that the model saw something.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

WAIT_S = 30.0
"""Bound of every wait for a request; they come within a few seconds."""

Act = Callable[[], object]


class Request(NamedTuple):
    """One request to a model.

    Attributes:
        path: with its query.
        body: the JSON.
        text: all strings in the body, a line for each: what the model can read.
    """

    path: str
    body: Any
    text: str

    @property
    def news(self) -> str:
        """What the model reads for the first time: all since it spoke last."""
        said = next(self.body[name] for name in _HISTORY if name in self.body)
        last = max((at for at, one in enumerate(said) if _is_model(one)), default=-1)
        return "\n".join(_strings(said[last + 1 :]))


class Recorder:
    """The proxy, serving from its start on a free port until the block ends."""

    def __init__(self, model: str) -> None:
        self._model = urlsplit(model).netloc
        self._requests: list[Request] = []
        self._acts: list[tuple[str, Act]] = []
        self._failed: Exception | None = None
        self._news = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.recorder = self
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    @property
    def requests(self) -> list[Request]:
        with self._news:
            return list(self._requests)

    def count(self) -> int:
        """How many requests came so far, to tell later ones from them."""
        return len(self.requests)

    def when(self, part: str, act: Act) -> None:
        """Do `act` once, before a request with `part` in its text is passed on.

        The program waits for its model then: what `act` did has happened before
        anything else that the program does.
        """
        self._acts.append((part, act))

    def wait_for(self, *parts: str, after: int = 0, within: float = WAIT_S) -> Request:
        """The first request from the `after`th on that has all of `parts`."""

        def found() -> Request | None:
            late = self._requests[after:]
            return next((r for r in late if all(p in r.text for p in parts)), None)

        with self._news:
            request = self._news.wait_for(found, within)
        assert request is not None, self._miss(parts)
        return request

    def _miss(self, parts: tuple[str, ...]) -> str:
        said = [f"{r.path} {len(r.text)} characters" for r in self.requests]
        return f"no request to the model had {parts}; there were {said}"

    def passed(self, path: str, body: bytes) -> None:
        """Keep a request, and do what was to be done before it."""
        try:
            document = json.loads(body)
        except ValueError:
            return  # a question without a body
        request = Request(path, document, "\n".join(_strings(document)))
        self._act_on(request)
        with self._news:
            self._requests.append(request)
            self._news.notify_all()

    def _act_on(self, request: Request) -> None:
        for part, act in list(self._acts):
            if part in request.text:
                self._acts.remove((part, act))
                try:
                    act()
                except Exception as error:  # noqa: BLE001 - the test raises it
                    self._failed = error

    def ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        """The model's answer, whole: its status, content type and body."""
        connection = HTTPConnection(self._model, timeout=WAIT_S)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            kind = answer.getheader("Content-Type") or "application/json"
            return answer.status, kind, answer.read()
        finally:
            connection.close()


_HISTORY = ("messages", "contents", "input")
"""Where a conversation stands: Anthropic, Gemini, OpenAI's Responses."""


def _is_model(entry: dict[str, Any]) -> bool:
    role, kind = entry.get("role"), entry.get("type")
    return role in ("assistant", "model") or kind == "function_call"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    recorder: Recorder

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed program leaves its connection as it was; that is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        recorder = self.server.recorder
        recorder.passed(self.path, body)
        kept = {k: v for k, v in self.headers.items() if k.lower() in _KEPT}
        status, kind, answer = recorder.ask(self.command, self.path, body, kept)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass  # a test speaks by its assertions


_KEPT = {"content-type", "accept", "authorization", "x-api-key", "x-goog-api-key"}
