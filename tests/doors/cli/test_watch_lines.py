"""`watch --format line`: each line starts a turn of an AI, so it is short and safe."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.doors.notice.words import MOST_LINE
from tests.doors.cli.conftest import Begin, Run, Running
from tests.doors.injections import INJECTIONS, hidden_in
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker", "bob")


@pytest.fixture
def watching(begin: Begin) -> Running:
    return begin("watch", "--format", "line", agent="bob")


def send(*bodies: str, **options: str) -> None:
    with ipcbus.connect("dev", agent="alice") as alice:
        for body in bodies:
            alice.send("bob", body, **options)  # type: ignore[arg-type]


def unread() -> int:
    with ipcbus.connect("dev", agent="") as operator:
        box = operator.status()["mailboxes"]["bob"]
        return int(box["waiting"]) + int(box["leased"])


def test_each_message_is_one_line_and_acked_when_it_was_written(
    watching: Running,
) -> None:
    send("the build\nis red", id="m-1")

    line = watching.line()

    assert line.startswith("ipcbus dev: from alice, ")
    assert line.endswith(", id m-1 | the build is red")
    until(lambda: unread() == 0)


def test_a_long_text_is_cut_and_says_where_to_read_on(watching: Running) -> None:
    send("word " * 500, id="m-1")

    line = watching.line()

    assert len(line) == MOST_LINE
    assert line.endswith("... (2.4 KiB in all: inbox read m-1, or ipcbus show m-1)")


@pytest.mark.security
def test_no_text_can_make_a_line_of_its_own(watching: Running) -> None:
    send(*INJECTIONS)

    for _ in INJECTIONS:
        line = watching.line()
        assert line.startswith("ipcbus dev: from alice, ")
        assert len(line) <= MOST_LINE
        assert hidden_in(line) == set()


def test_a_receipt_wakes_nobody_and_is_counted_on_the_next_line(
    begin: Begin, run: Run
) -> None:
    assert run("register", "alice").code == 0
    with ipcbus.connect("dev", agent="bob") as bob:
        bob.send("alice", "done?", receipt="acked")
    assert run("check", agent="alice").code == 0
    assert unread() == 1
    send("mail", id="m-1")

    line = begin("watch", "--format", "line", agent="bob").line()

    assert line.endswith(", id m-1 (+1 receipt) | mail")
    until(lambda: unread() == 0)


def test_what_nobody_reads_is_not_acked(watching: Running, begin: Begin) -> None:
    send("first")
    watching.line()
    until(lambda: unread() == 0)
    assert watching.process.stdout is not None
    watching.process.stdout.close()
    send("second")
    watching.process.wait(30)

    line = begin("watch", "--format", "line", agent="bob").line()

    assert "second" in line


def test_ctrl_c_ends_it(watching: Running) -> None:
    send("mail")
    watching.line()

    watching.signal(signal.SIGINT)

    assert watching.process.wait(30) == 0


def test_json_and_lines_are_two_formats(run: Run) -> None:
    done = run("watch", "--format", "line", "--json", agent="bob")

    assert done.code == 2
    assert "two formats" in done.json["error"]["message"]


def test_without_a_history_the_whole_is_kept_in_a_file(watching: Running) -> None:
    found = networks.find("dev")
    found.save(found.saved()._replace(settings={"history_ms": 0}))
    body = "word " * 500
    send(body, id="m-1")

    line = watching.line()

    path = found.folder / "notice" / "mail" / "m-1.txt"
    assert line.endswith(f"... (2.4 KiB in all: {path})")
    assert path.read_text() == body
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# --- the desktop -----------------------------------------------------------------


@pytest.fixture
def desktop(tmp_path: Path) -> Path:
    """A folder with a `notify-send` that writes down what it was told."""
    program = tmp_path / "notify-send"
    program.write_text(
        '#!/bin/sh\nfor word in "$@"; do echo "$word"; done >> "$TOLD"\n'
    )
    program.chmod(0o755)
    return tmp_path


@pytest.mark.security
def test_a_person_is_told_who_wrote_and_never_what(begin: Begin, desktop: Path) -> None:
    told = desktop / "told"
    env = {"PATH": f"{desktop}:{os.environ['PATH']}", "TOLD": str(told)}
    watching = begin("watch", "--notify", "--format", "line", agent="bob", env=env)
    send("$(touch /tmp/no) `id` secret")
    watching.line()

    until(lambda: told.exists() and "alice" in told.read_text())

    assert told.read_text().splitlines() == [
        "--app-name=ipcbus",
        "--",
        "ipcbus",
        "alice wrote to bob",
    ]


def test_where_no_program_shows_notifications_that_is_said(
    run: Run, desktop: Path
) -> None:
    env = {"PATH": str(desktop / "empty")}

    done = run("watch", "--notify", agent="bob", env=env)

    assert done.code == 2
    assert "neither notify-send nor osascript" in done.err


def test_a_notification_that_fails_stops_nothing(begin: Begin, desktop: Path) -> None:
    (desktop / "notify-send").write_text("#!/bin/sh\nexit 1\n")
    env = {"PATH": f"{desktop}:{os.environ['PATH']}"}
    watching = begin("watch", "--notify", "--format", "line", agent="bob", env=env)

    send("one", "two")

    assert watching.line().endswith("| one")
    assert watching.line().endswith("| two")
