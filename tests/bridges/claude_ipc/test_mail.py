"""What old programs are shown of messages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcbus_bridges.claude_ipc import files, mail
from ipcbus_bridges.claude_ipc.limits import AT_ONCE, DEFAULTS, RANGES
from ipcbus_bridges.claude_ipc.mail import (
    LARGE,
    SENT_HEADER,
    Entry,
    Incoming,
    Page,
)

AT = 1_767_225_600_000
MAX_ANSWER = DEFAULTS.answer_size
LEAST = RANGES["answer_size"].least
KEPT_S = 3600.0


def incoming(body: str | bytes = "hello", **more: Any) -> Incoming:
    plain = Incoming("m1", "alice", "inform", "local", AT, body, None, {})
    return plain._replace(**more)


def shown(message: Incoming) -> dict[str, Any]:
    return mail.entry(message, "bob", "dev").fields


def test_a_message_has_the_old_fields() -> None:
    found = shown(incoming(data={"a": 1}))

    assert found == {
        "from": "alice",
        "to": "bob",
        "timestamp": mail.timestamp(AT),
        "message": {"content": "hello", "data": {"a": 1}},
        "id": "m1",
    }


def test_a_rename_is_told_in_the_old_words_by_system() -> None:
    data = {"event": "renamed", "old": "x._a", "new": "b"}
    found = shown(incoming(sender="ipcbus", trust="broker", data=data))

    assert found["from"] == "system"
    assert found["message"]["content"] == "📝 _a renamed to b"


@pytest.mark.parametrize("name", ["system", "System", "ipcbus"])
def test_nobody_is_taken_for_the_network(name: str) -> None:
    assert shown(incoming(sender=name))["from"] == f"{name}@dev"


def test_what_was_moved_in_looks_as_it_did() -> None:
    old = "2026-01-01T10:00:00"
    body = mail.moved_line(old) + "hello"
    found = shown(incoming(body, headers={SENT_HEADER: old}))

    assert found["timestamp"] == old
    assert found["message"]["content"] == "hello"


def test_attachments_are_told_by_name() -> None:
    found = shown(incoming(attachments=(("build.log", 2_000_000),)))

    assert "build.log, 2000000 bytes" in found["message"]["content"]
    assert "ipcbus show m1 --save" in found["message"]["content"]


def test_what_an_old_program_said_beside_the_content_comes_back() -> None:
    found = shown(incoming(more={"data": {"deep": [[]]}, "type": "file"}))

    assert found["message"] == {
        "content": "hello",
        "data": {"deep": [[]]},
        "type": "file",
    }


def test_a_large_message_is_a_summary_and_a_file_of_its_readers_own(
    tmp_path: Path,
) -> None:
    body = "First things first. Then the second. " + "More of it. " * 2000
    large = mail.entry(incoming(body, data={"a": 1}), "bob", "dev")
    told = files.told(large, tmp_path).fields["message"]

    path = Path(told["data"]["large_message_file"])
    begin = "First things first. Then the second."
    assert told["content"] == f"{begin} Full content saved to: {path}"
    assert told["data"]["a"] == 1
    assert told["data"]["original_size_kb"] == round(len(body) / 1024, 1)
    assert body in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_same_message_shown_again_has_the_same_file(tmp_path: Path) -> None:
    large = mail.entry(incoming("x" * 20_000), "bob", "dev")
    one, two = files.told(large, tmp_path), files.told(large, tmp_path)

    assert one == two
    assert len(list((tmp_path / files.FOLDER).iterdir())) == 1


def test_large_data_are_in_the_file_too(tmp_path: Path) -> None:
    data = {"rows": ["y" * 100] * 900}
    large = mail.entry(incoming("short", more={"data": data}), "bob", "dev")
    told = files.told(large, tmp_path)

    assert len(told.packed()) < 2000
    assert told.fields["message"]["content"].startswith("short Full content saved to")
    text = Path(told.fields["message"]["data"]["large_message_file"]).read_text()
    assert json.loads(text.partition("## Data\n")[2]) == {"data": data}


def test_bytes_that_are_no_text_are_in_the_file_as_they_are(tmp_path: Path) -> None:
    body = bytes(range(256))
    told = files.told(mail.entry(incoming(body), "bob", "dev"), tmp_path)

    path = Path(told.fields["message"]["data"]["large_message_file"])
    assert path.read_bytes() == body
    assert told.fields["message"]["content"].startswith("256 bytes that are no text.")


def test_a_file_that_cannot_be_written_is_no_reason_to_lose_a_message(
    tmp_path: Path,
) -> None:
    (tmp_path / files.FOLDER).write_text("a file where the folder should be")
    told = files.told(mail.entry(incoming("x" * 20_000), "bob", "dev"), tmp_path)

    assert told.fields["message"]["content"].endswith("ipcbus show m1")


def test_files_go_when_the_network_has_forgotten_the_message(tmp_path: Path) -> None:
    files.told(mail.entry(incoming("x" * 20_000), "bob", "dev"), tmp_path)
    (path,) = (tmp_path / files.FOLDER).iterdir()
    now = path.stat().st_mtime

    files.sweep(tmp_path, KEPT_S, now + KEPT_S - 60)
    assert path.exists()
    os.utime(path, (now - 120, now - 120))
    files.sweep(tmp_path, KEPT_S, now + KEPT_S - 60)
    assert not path.exists()


@settings(max_examples=50)
@given(st.text(max_size=LARGE // 4), st.text(max_size=200), st.integers(1, 20))
def test_any_message_fits_into_an_answer(body: str, word: str, times: int) -> None:
    body = body.encode(errors="replace").decode() * times
    message = incoming(body, data={"a": word}, sender=f"{'a' * 64}@{'n' * 64}")
    for most in (LEAST, MAX_ANSWER):
        entry = mail.entry(message, "b" * 32, "dev", most)
        if entry.whole:
            entry = mail.with_file(entry, "/" + "é" * 255, 10**9)
        assert Page(most).add(entry.packed())


@settings(max_examples=50)
@given(st.lists(st.integers(1, 20_000) | st.just(60_000), max_size=30))
def test_an_answer_is_messages_that_come_at_once_or_one_alone(sizes: list[int]) -> None:
    page = Page()
    entries = [Entry({"message": "x" * size}) for size in sizes]
    taken = 0
    while taken < len(entries) and page.add(entries[taken].packed()):
        taken += 1
    packed = page.packed(2**62)

    found = json.loads(packed)
    assert found["status"] == "ok"
    assert found["messages"] == [entry.fields for entry in entries[:taken]]
    assert len(packed) <= (MAX_ANSWER if taken == 1 else AT_ONCE)
    assert taken == len(entries) or len(packed) + sizes[taken] + 40 > AT_ONCE


def test_a_long_list_is_cut_and_says_so() -> None:
    rows = [(f"agent-{number}", mail.timestamp(AT)) for number in range(20_000)]
    packed = mail.listing(rows)

    found = json.loads(packed)
    assert len(packed) <= MAX_ANSWER
    assert found["left_out"] + len(found["instances"]) == 20_000
    assert found["instances"][0] == {"id": "agent-0", "last_seen": mail.timestamp(AT)}
    assert "left_out" not in json.loads(mail.listing(rows[:3]))
    assert len(mail.listing(rows, LEAST)) <= LEAST


def test_a_file_where_the_folder_should_be_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / files.FOLDER).write_text("not a folder")
    files.sweep(tmp_path, KEPT_S)
