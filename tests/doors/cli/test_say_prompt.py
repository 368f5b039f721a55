"""`say` as a prompt, a sentence a line; and auto checking, which hooks go by."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import Any

from ipcbus.doors.notice import auto
from ipcbus.networks import find
from tests.doors.cli.conftest import COMMAND, ROOT, RUN_S, Call, Run, environment, read


def bodies(run: Run) -> list[str]:
    return [message["body"] for message in read(run)]


# --- the prompt --------------------------------------------------------------


def test_lines_are_answered_in_order_until_quit(run: Run, bob: str) -> None:
    script = "register as alice\n\ntell bob: one\nQuit.\ntell bob: two\n"
    done = run("say", "--json", stdin=script.encode())

    found = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [each["understood"]["do"] for each in found] == ["register", "send"]
    assert bodies(run) == ["one"]


def test_a_line_that_fails_does_not_end_it(run: Run, bob: str) -> None:
    script = b"tell nobody-here: hi\nfoo\ntell bob: \xff\nmsgs?\ntell bob: hi"
    done = run("say", "--json", agent="alice", stdin=script)

    found = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 6
    assert [each.get("error", {}).get("code") for each in found] == [
        "unknown_recipient",
        "usage",
        "usage",
        None,
        None,
    ]
    assert bodies(run) == ["hi"]


def test_a_line_that_is_too_long_is_skipped_whole(run: Run, bob: str) -> None:
    script = b"tell bob: " + b"x" * 3_000_000 + b"\ntell bob: hi\n"
    done = run("say", "--json", agent="alice", stdin=script)

    first, second = map(json.loads, done.out.splitlines())
    assert first["error"]["code"] == "bound_exceeded"
    assert second["understood"]["text"] == "hi"
    assert bodies(run) == ["hi"]


def test_mail_that_a_line_showed_is_acked(run: Run, call: Call, bob: str) -> None:
    call("send", bob, "hi", agent="alice")
    done = run("say", agent=bob, stdin=b"msgs?\nmsgs?\n")

    assert done.out.count("| hi") == 1
    assert read(run, bob) == []


def test_a_terminal_is_prompted(run: Run, bob: str) -> None:
    main, side = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "say"],
        stdin=side,
        stdout=side,
        stderr=side,
        cwd=ROOT,
        env=environment({"TERM": "dumb", "IPCBUS_AGENT": "alice"}),
    ) as process:
        os.close(side)
        os.write(main, f"tell {bob}: hi\nquit\n".encode())
        said = b""
        while True:
            try:
                said += os.read(main, 65536)
            except OSError:  # EIO: its last writer has gone
                break
        assert process.wait(RUN_S) == 0
    os.close(main)

    assert said.count(b"> ") == 2
    assert b"sent to bob" in said
    assert bodies(run) == ["hi"]


def test_ctrl_c_ends_the_prompt(bob: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "say"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment({"IPCBUS_AGENT": "alice"}),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"who am i\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"you are alice")
        process.send_signal(signal.SIGINT)
        process.stdin.close()

        assert process.wait(RUN_S) == 130


# --- auto checking -----------------------------------------------------------


def test_auto_checking_is_what_hooks_go_by(run: Run, bob: str) -> None:
    def said(sentence: str) -> Any:
        done = run("say", sentence, "--json", agent=bob)
        assert done.code == 0
        wish = auto.read(find("dev"), bob)
        return done.json["answer"]["every_s"], wish and wish.every_s

    assert said("is auto checking on?") == (0, None)
    assert said("start auto checking every 5 minutes") == (300, 300)
    assert said("when's the next auto check?") == (300, 300)
    assert said("stop auto checking") == (None, None)
    assert said("start auto checking") == (0, 0)


def test_people_are_told_of_auto_checking(run: Run, bob: str) -> None:
    every = run("say", "start auto checking every 90 seconds", agent=bob).out
    off = run("say", "stop auto checking", agent=bob).out
    on = run("say", "start auto checking", agent=bob).out

    assert "once in 90s" in every
    assert "is off" in off
    assert "at every event" in on
