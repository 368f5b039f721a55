"""`check`, `wait` and `watch`: what was written, and only that, is acked."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from ipcbus import networks
from tests.doors.cli.conftest import (
    COMMAND,
    ROOT,
    Begin,
    Call,
    Done,
    Run,
    environment,
    read,
)
from tests.waiting import until


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


@pytest.mark.parametrize("command", ["check", "wait"])
@pytest.mark.parametrize("lease", ["0", "13h"])
def test_a_lease_that_cannot_be_is_refused_before_anything_is_waited_for(
    run: Run, bob: str, command: str, lease: str
) -> None:
    done = run(command, "--as", bob, "--lease", lease)
    assert (done.code, done.out) == (2, "")
    assert "lease" in done.err


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
        env=environment({"IPCBUS_AGENT": "bob"}),
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
            env=environment({"IPCBUS_AGENT": "bob"}),
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


# --- for people ----------------------------------------------------------------


def on_a_terminal(*args: str, **env: str) -> str:
    """What a command writes to a terminal of 60 columns."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (24, 60))
    with subprocess.Popen(
        [*COMMAND, *args],
        stdin=side,
        stdout=side,
        stderr=side,
        cwd=ROOT,
        env=environment({"TERM": "xterm", "IPCBUS_AGENT": "bob", **env}),
    ):
        os.close(side)
        said = b""
        while True:
            try:
                said += os.read(main, 65536)
            except OSError:  # EIO: its last writer has gone
                break
    os.close(main)
    return said.decode().replace("\r\n", "\n")


@pytest.mark.security
def test_on_a_terminal_all_escapes_are_ours(call: Call, bob: str) -> None:
    evil = "\x1b[31mred\x1b[0m" + " " * 80 + "root  broker"
    call("send", bob, "-", agent="alice", stdin=evil.encode())

    coloured = on_a_terminal("check", "--peek")
    plain = on_a_terminal("check", "--peek", NO_COLOR="1")

    assert "\x1b[1malice\x1b[0m" in coloured
    assert "\x1b[31m" not in coloured
    assert "\x1b" not in plain
    assert "  | \\x1b[31mred" in plain
    assert all(len(line) <= 60 for line in plain.splitlines())
    assert "\nroot" not in plain


def test_json_on_a_terminal_is_indented(call: Call, bob: str) -> None:
    call("send", bob, "hi", agent="alice")

    text = on_a_terminal("check", "--json")

    assert text.count("\n") > 10
    assert json.loads(text)["messages"][0]["body"] == "hi"


LONG = "It broke. Nobody knows why. " + "x" * 20_000


def test_people_see_the_beginning_of_a_long_body(
    run: Run, call: Call, bob: str
) -> None:
    sent = call("send", bob, "-", agent="alice", stdin=LONG.encode())

    text = run("check", agent="bob").out

    assert len(text) < 500
    assert f"read it with: ipcbus show {sent['id']}" in text
    assert LONG in run("show", sent["id"], agent="bob").out


def test_they_see_it_whole_if_nothing_is_kept_to_show_later(
    run: Run, call: Call, home: Path
) -> None:
    network = networks.create("dev")
    network.save(network.saved()._replace(settings={"history_ms": 0}))
    call("send", "bob", "-", "--future", agent="alice", stdin=LONG.encode())

    assert LONG in run("check", agent="bob").out
