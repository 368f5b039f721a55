"""What is known of a session: a private file that may be lost at any time."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from pathlib import Path

import pytest

from ipcbus.doors.notice.memory import OLD_S, Memory, Shown, State, Waiting, hold
from ipcbus.networks import Network

SHOWN = Shown("m-1", 1_764_100_000.5, "stop")


def test_what_is_kept_is_read_again(network: Network, session: str) -> None:
    state = State((SHOWN,), "stop", 5.0, True, 17, 4.5, Waiting(1, 2, "boot"))

    before = Memory(network, "claude", "Alice", session).change(lambda _: state)

    assert before == State()
    assert Memory(network, "claude", "alice", session).read() == state


def test_each_session_tool_and_agent_has_its_own(
    network: Network, session: str
) -> None:
    Memory(network, "claude", "alice", session).change(lambda s: s._replace(blocked=1))

    for other in (
        Memory(network, "codex", "alice", session),
        Memory(network, "claude", "bob", session),
        Memory(network, "claude", "alice", session[:-1]),
    ):
        assert other.read() == State()


def test_only_its_owner_may_read_it(network: Network, session: str) -> None:
    memory = Memory(network, "claude", "alice", session)
    memory.change(lambda s: s._replace(blocked=1))

    assert stat.S_IMODE(memory.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(memory.folder.stat().st_mode) == 0o700


@pytest.mark.security
@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/passwd", "a\0b", "x" * 5000, ".", "s 1", "é", "\ud800"]
)
def test_the_name_of_a_session_leads_to_no_other_folder(
    network: Network, name: str
) -> None:
    memory = Memory(network, "claude", "alice", name)
    memory.change(lambda s: s._replace(blocked=1))

    assert memory.path.parent == memory.folder
    assert memory.path.resolve().parent == memory.folder.resolve()
    assert memory.read().blocked == 1


def test_names_that_look_alike_share_no_file(network: Network) -> None:
    paths = {
        Memory(network, "claude", "alice", name).path for name in ("s1", "s/1", "s.1")
    }

    assert len(paths) == 3


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"shown": 3}', '{"shown": [[1]]}', '{"waiter": [1]}', "x" * 70000],
)
def test_a_file_that_cannot_be_read_is_an_empty_one(
    network: Network, session: str, text: str
) -> None:
    memory = Memory(network, "claude", "alice", session)
    memory.change(lambda s: s._replace(blocked=1))
    memory.path.write_text(text)

    assert memory.read() == State()
    memory.change(lambda s: s._replace(blocked=2))
    assert memory.read().blocked == 2


def test_a_lock_that_is_held_for_long_is_not_waited_for(
    network: Network, session: str
) -> None:
    memory = Memory(network, "claude", "alice", session)
    memory.change(lambda s: s._replace(blocked=1))
    with (memory.folder / "lock").open("r") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        memory.change(lambda s: s._replace(blocked=2))

    assert memory.read().blocked == 2


def test_a_session_has_one_waiter(network: Network, session: str) -> None:
    memory = Memory(network, "claude", "alice", session)
    first = hold(memory)
    assert first is not None

    assert hold(Memory(network, "claude", "alice", session)) is None
    waiter = memory.read().waiter
    assert waiter is not None
    assert waiter.pid == os.getpid()

    os.close(first)
    again = hold(memory)
    assert again is not None
    os.close(again)


def test_what_nobody_came_back_for_is_swept(network: Network, session: str) -> None:
    old = Memory(network, "claude", "alice", "old")
    held = Memory(network, "claude", "alice", "held")
    new = Memory(network, "claude", "alice", session)
    for memory in (old, new):
        memory.change(lambda s: s._replace(blocked=1))
    lock = hold(held)
    assert lock is not None
    for path in (old.path, held.wait_path, old.folder / "lock"):
        _age(path)

    new.sweep()

    left = {path.name for path in new.folder.iterdir()}
    assert left == {
        "lock",
        new.path.name,
        held.path.name,
        held.wait_path.name,
    }
    os.close(lock)


def _age(path: Path) -> None:
    before = time.time() - OLD_S - 1
    os.utime(path, (before, before))
