"""A model of OpenAI's Responses API that calls tools in a namespace, as Codex has them.

Codex shows the tools of an MCP server as one `namespace` and wants calls to name it;
aimock cannot. So this answers with the events that Codex reads, and no more.
Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clis.script import NOTHING_MORE, Call, Say, Turn

NAMESPACE = "mcp__ipcbus"


@contextmanager
def responses(script: Sequence[Turn]) -> Iterator[str]:
    """Serve the script until the block ends; gives the address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.script = list(script)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def turns_before(request: dict[str, Any]) -> int:
    """How often the model spoke before, by the history that the request repeats."""
    return sum(
        item.get("type") == "function_call" or item.get("role") == "assistant"
        for item in request["input"]
    )


def events(turn: Turn, number: int) -> Iterator[dict[str, Any]]:
    response = {"id": f"resp_{number}", "object": "response", "output": []}
    yield {"type": "response.created", "response": response}
    item = _call(turn, number) if isinstance(turn, Call) else _message(turn.text)
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    ended = {**response, "status": "completed", "output": [item], "usage": usage}
    yield {"type": "response.completed", "response": ended}


def _call(turn: Call, number: int) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"call_{number}",
        "namespace": NAMESPACE,
        "name": turn.tool,
        "arguments": json.dumps(turn.args),
    }


def _message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "content": content}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: list[Turn]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(404, "application/json", b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.endswith("/responses"):
            self._answer(404, "application/json", b"{}")
            return
        number = turns_before(json.loads(body))
        script = self.server.script
        turn = script[number] if number < len(script) else Say(NOTHING_MORE)
        stream = "".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
            for event in events(turn, number)
        )
        self._answer(200, "text/event-stream", stream.encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
