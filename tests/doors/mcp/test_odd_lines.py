"""Lines on stdin that no parser takes: each request is answered, and the server goes
on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.doors.mcp.refusing import refusals
from tests.doors.mcp.raw import started

pytestmark = pytest.mark.security

TORN = '{"name": "send", "arguments": {"to": "bob", "text": "half: \\ud83d"}}'
REQUESTS = [
    (f'{{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {TORN}}}', 7),
    (f'{{"jsonrpc":"2.0","method":"tools/call","params":{TORN},"id":"a"}}', "a"),
    ('{"jsonrpc": "2.0", "id": 8, "method": 5}', 8),
    ('{"jsonrpc": "2.0", "id": 9}', 9),
]
NO_REQUESTS = [
    '{"jsonrpc": "2.0", "method": 5}',
    '{"jsonrpc": "2.0", "id": 1, "result": 5}',
    '{"jsonrpc": "2.0", "id": null, "method": "ping"}',
    "{",
    "[" * 5000,
    '"text"',
    "",
    "   ",
]


@pytest.mark.parametrize(("line", "id_"), REQUESTS)
def test_what_may_be_a_request_is_answered(line: str, id_: int | str) -> None:
    (answer,) = refusals(line)
    assert answer.id == id_
    assert answer.error.message


@pytest.mark.parametrize("line", NO_REQUESTS)
def test_who_waits_for_nothing_is_told_nothing(line: str) -> None:
    assert refusals(line) == []


def test_a_server_answers_each_of_them_and_goes_on(bus: Path) -> None:
    with started("--network", "dev", "--as", "model") as raw:
        raw.shake_hands()
        assert raw.process.stdin is not None
        for line in NO_REQUESTS:
            raw.process.stdin.write(line.encode() + b"\n")
        for line, id_ in REQUESTS:
            raw.process.stdin.write(line.encode() + b"\n")
            raw.process.stdin.flush()
            answer = raw.line()
            assert answer.get("id") == id_
            assert "error" in answer
        assert "result" in raw.ask("tools/list", {})
        raw.process.stdin.close()
        assert raw.end()[0] == 0
