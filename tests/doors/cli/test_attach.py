"""Files that go with a message, by whatever name."""

from __future__ import annotations

import os
from pathlib import Path

from tests.doors.cli.conftest import Call, Run, read


def test_a_name_that_is_not_utf_8_is_sent_as_far_as_it_can_be_read(
    run: Run, bob: str, tmp_path: Path
) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).write_text("hi")

    done = run("send", bob, "here", "--attach", os.fsdecode(path), agent="alice")

    assert (done.code, done.err) == (0, "")
    [message] = read(run)
    assert [each["name"] for each in message["attachments"]] == ["caf\ufffd.txt"]


def test_a_file_that_is_not_there_is_named_as_it_was_typed(run: Run, bob: str) -> None:
    name = os.fsdecode(b"nowhere\xe9")
    done = run("send", bob, "here", "--attach", name, "--json", agent="alice")

    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "nowhere\udce9 cannot be read" in done.json["error"]["message"]


def test_a_long_name_is_saved_under_a_shorter_one(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    name = "語" * 83 + ".txt"  # 253 bytes, as many as a disk takes
    (tmp_path / name).write_text("hi")
    id_ = call("send", bob, "x", "--attach", str(tmp_path / name), agent="alice")["id"]
    for _ in range(2):
        call("show", id_, "--save", str(tmp_path / "saved"), agent=bob)

    saved = sorted((tmp_path / "saved").iterdir())
    assert [path.read_text() for path in saved] == ["hi", "hi"]
    assert {path.suffix for path in saved} == {".txt"}
