"""`check`, `wait` and `watch`: what was written, and only that, is acked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.doors.cli.conftest import COMMAND, ROOT, Begin, Call, Done, Run, read, until


def test_an_empty_mailbox_is_3_and_a_document(run: Run, bob: str) -> None:
    done = run("check", "--json", agent="bob")

    assert done.code == 3
    assert done.json == {"messages": [], "remaining": 0}
    assert run("check", agent="bob") == Done(3, "no mail\n", "")


def test_what_was_printed_is_acked(run: Run, call: Call, bob: str) -> None:
    call("send", bob, "hi", agent="alice")

    assert len(read(run)) == 1
    assert read(run) == []


def test_check_takes_no_more_than_it_was_told(run: Run, call: Call, bob: str) -> None:
    for number in range(3):
        call("send", bob, str(number), agent="alice")

    found = run("check", "--max", "2", "--json", agent="bob").json

    assert [m["body"] for m in found["messages"]] == ["0", "1"]
    assert found["remaining"] == 1
    assert [m["attempt"] for m in read(run)] == [1]


def test_check_bounds_bytes_but_always_gives_one(
    run: Run, call: Call, bob: str
) -> None:
    for _ in range(2):
        call("send", bob, "-", agent="alice", stdin=b"x" * 5000)

    found = run("check", "--max-bytes", "100", "--json", agent="bob").json

    assert (len(found["messages"]), found["remaining"]) == (1, 1)


def test_peek_leases_nothing(run: Run, call: Call, bob: str) -> None:
    call("send", bob, "hi", agent="alice")

    assert len(read(run, "bob", "--peek")) == 1
    assert [m["attempt"] for m in read(run)] == [1]


@pytest.mark.parametrize("args", [(), ("--json",)])
def test_nothing_is_acked_if_stdout_is_closed(
    run: Run, call: Call, bob: str, args: tuple[str, ...]
) -> None:
    call("send", bob, "hi", agent="alice")
    done = subprocess.run(
        [*COMMAND, "check", *args],
        preexec_fn=lambda: os.close(1),
        stderr=subprocess.PIPE,
        check=False,
        cwd=ROOT,
        env={**os.environ, "IPCBUS_AGENT": "bob"},
    )

    assert done.returncode == 1
    assert [m["body"] for m in read(run)] == ["hi"]


def test_nothing_is_acked_if_the_disk_behind_stdout_is_full(
    run: Run, call: Call, bob: str
) -> None:
    call("send", bob, "hi", agent="alice")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "check"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            cwd=ROOT,
            env={**os.environ, "IPCBUS_AGENT": "bob"},
        )

    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert [m["body"] for m in read(run)] == ["hi"]


def test_nothing_is_acked_if_the_reader_has_gone(
    run: Run, call: Call, begin: Begin, bob: str
) -> None:
    waiting = begin("wait", agent="bob")
    assert waiting.process.stdout is not None
    waiting.process.stdout.close()
    waiting.process.stdout = None
    call("send", bob, "hi", agent="alice")

    assert waiting.process.wait(timeout=20) == 141
    assert [m["body"] for m in read(run)] == ["hi"]


def test_wait_gives_mail_as_soon_as_there_is_some(
    call: Call, begin: Begin, bob: str
) -> None:
    waiting = begin("wait", "--json", agent="bob")
    call("send", bob, "hi", agent="alice")

    found = json.loads(waiting.line())
    assert [m["body"] for m in found["messages"]] == ["hi"]
    assert waiting.end().code == 0


def test_wait_ends_with_3_in_time(run: Run, bob: str) -> None:
    done = run("wait", "--timeout", "100ms", "--json", agent="bob")

    assert (done.code, done.json) == (3, {"messages": [], "remaining": 0})


def test_ctrl_c_ends_a_wait_without_a_word(call: Call, begin: Begin, bob: str) -> None:
    waiting = begin("wait", agent=bob)
    until(lambda: call("agents")["agents"][0]["sessions"] == 1)
    waiting.signal(signal.SIGINT)

    assert waiting.end() == Done(130, "", "")


def test_watch_shows_messages_as_they_come_and_acks_each(
    run: Run, call: Call, begin: Begin, bob: str
) -> None:
    watching = begin("watch", "--json", agent=bob)
    for text in ("one", "two"):
        call("send", bob, text, agent="alice")
        assert json.loads(watching.line())["body"] == text
    watching.signal(signal.SIGINT)

    assert watching.end() == Done(0, "", "")
    assert read(run) == []
