"""What a CLI hands over on stdin, and what else may come there."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.doors.notice.given import PARSED, Given, read, understood

JUNK = [
    b"",
    b"\n",
    b"null",
    b"[]",
    b"42",
    b'"session_id"',
    b"{}",
    b'{"session_id": 7}',
    b'{"session_id": ""}',
    b'{"session_id": "s-1"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"x" * (PARSED + 10),
]


@pytest.mark.parametrize("data", JUNK, ids=range(len(JUNK)))
def test_what_makes_no_sense_is_nothing(data: bytes) -> None:
    assert understood(data) is None


@given(data=st.binary())
def test_no_bytes_are_a_fault(data: bytes) -> None:
    assert understood(data) is None


def test_little_is_needed_of_what_a_cli_says() -> None:
    value = {
        "session_id": "s-1",
        "transcript_path": "/tmp/t",
        "hook_event_name": "Stop",
        "stop_hook_active": True,
        "source": "compact",
        "agent_id": "helper-2",
    }

    assert understood(json.dumps(value).encode()) == Given(
        "s-1", "helper-2", "compact", going_on=True
    )


def test_fields_of_another_type_are_left_out() -> None:
    value = {"session_id": "s-1", "agent_id": 3, "source": [], "stop_hook_active": 1}

    assert understood(json.dumps(value).encode()) == Given("s-1")


def test_of_what_is_very_long_the_beginning_says_who_asks() -> None:
    value = {"session_id": "s-1", "stop_hook_active": True, "output": "x" * PARSED}

    assert understood(json.dumps(value).encode()) == Given("s-1", going_on=True)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_all_is_read_though_little_of_it_is_kept(pipe: tuple[int, int]) -> None:
    """A CLI that cannot write all it has waits for ever."""
    reader, writer = pipe
    data = b'{"session_id": "s-1", "output": "' + b"x" * (3 * PARSED) + b'"}'

    def fill() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=fill)
    thread.start()

    assert read(reader) == Given("s-1")
    thread.join(10)
    assert not thread.is_alive()


def test_an_end_that_never_comes_is_not_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.write(writer, b'{"session_id": "s-1"}\n')

    assert read(reader) == Given("s-1")


def test_a_closed_stdin_is_nothing(pipe: tuple[int, int]) -> None:
    reader, _ = pipe
    os.close(reader)

    assert read(reader) is None
