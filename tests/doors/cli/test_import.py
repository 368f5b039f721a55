"""`import claude-ipc`: an old database into a network, first told, then done, twice."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

import ipcbus
from ipcbus.networks import BrokerInfo
from ipcbus.networks import find as find_network
from ipcbus_bridges.claude_ipc import moving, olddata
from ipcbus_bridges.claude_ipc.mail import SENT_HEADER, moved_line
from tests.bridges.claude_ipc.old import Door, Old
from tests.bridges.claude_ipc.olddb import OldDb, ago
from tests.bridges.town import Home
from tests.doors.cli.conftest import COMMAND, ROOT, Call, Run, environment

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def old(tmp_path: Path) -> OldDb:
    return OldDb(tmp_path / "old")


def stamps(old: OldDb) -> dict[str, tuple[bytes, int]]:
    """All of the old files."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in old.path.parent.rglob("*")
        if path.is_file()
    }


def waiting(agent: str) -> list[ipcbus.Message]:
    """All that waits for an agent; it is read."""
    with ipcbus.connect("dev", agent=agent) as client:
        messages, remaining = client.fetch(1000)
        assert not remaining
        for message in messages:
            message.ack()
        client.flush()
    return messages


def test_it_tells_first_then_does_it_and_leaves_the_old_files(
    run: Run, call: Call, old: OldDb, home: Path
) -> None:
    old.names("fred", "wilma")
    path = old.large("fred", "wilma", "all of the large message")
    old.message("fred", "wilma", "hello", sent_at="2026-01-02T03:04:05", data={"a": 1})
    old.message("fred", "later", "for later")
    old.message("fred", "wilma", "was read", read=1)
    old.renamed("freddy", "fred", ago(minutes=5))
    old.session("wilma", "an old token", ago(hours=-3))
    before = stamps(old)

    told = run("import", "claude-ipc", str(old.path.parent))
    assert told.code == 0
    assert "3 messages for 2 names; 1 of them wait for names" in told.out
    assert "1 large messages, as attachments" in told.out
    assert "history   1 messages that were read" in told.out
    assert "freddy to fred" in told.out
    assert "nothing was changed; add --yes to do it" in told.out
    assert call("agents")["agents"] == []
    assert not (home / "networks" / "dev" / "claude-ipc").exists()

    done = call("import", "claude-ipc", str(old.path), "--yes")
    assert done["dry_run"] is False
    assert (done["moved"]["messages"], done["moved"]["past"]) == (3, 1)
    assert done["moved"]["failed"] == []
    large, hello = waiting("wilma")
    assert (hello.sender, hello.data) == ("fred", {"a": 1})
    assert hello.body == moved_line("2026-01-02T03:04:05") + "hello"
    assert hello.headers == {SENT_HEADER: "2026-01-02T03:04:05"}
    (attachment,) = large.attachments
    assert (attachment.name, attachment.size) == (path.name, path.stat().st_size)
    assert [message.text for message in _records("later")] == [
        moved_line(_sent(old, 3)) + "for later"
    ]
    with ipcbus.connect("dev", agent="x") as client:
        assert client.send("freddy", "hi").state == "forwarded"

    again = call("import", "claude-ipc", str(old.path), "--yes")
    assert (again["moved"]["messages"], again["moved"]["past"]) == (0, 0)
    assert again["moved"]["again"] == 4
    assert waiting("wilma") == []
    with ipcbus.connect("dev", agent="wilma") as client:
        states = {
            record.text.partition("\n")[2]: record.state
            for record in client.history(10, other="fred").records
        }
    assert states["was read"] == "done"
    assert stamps(old) == before


def _sent(old: OldDb, row: int) -> str:
    found = olddata.read(old.path)
    return next(one.sent_at for one in found.unread if one.row == row)


def _records(agent: str) -> list[Any]:
    with ipcbus.connect("dev", agent=agent) as client:
        return client.peek().records


def test_old_programs_go_on_as_if_nothing_had_happened(
    call: Call, old: OldDb, home: Path
) -> None:
    old.names("Fred", "wilma")
    old.session("Fred", "an old token", ago(hours=-3))
    old.message("wilma", "Fred", "hello", sent_at="2026-01-02T03:04:05")
    call("import", "claude-ipc", str(old.path), "--yes")
    door = Door(Home(home))
    try:
        fred = Old(door.port, "Fred")
        fred.token = "an old token"
        (message,) = fred.check()
        assert message["timestamp"] == "2026-01-02T03:04:05"
        assert message["message"] == {"content": "hello"}
        assert door.registered("wilma").send("fred", "still here")["status"] == "ok"
        assert fred.contents() == ["still here"]
    finally:
        door.kill()


def test_a_damaged_file_is_refused(run: Run, old: OldDb) -> None:
    old.crowd(500)
    data = bytearray(old.path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    old.path.write_bytes(data)
    for more in ((), ("--yes",)):
        done = run("import", "claude-ipc", str(old.path), *more)
        assert done.code == 17
        assert "nothing was read or changed" in done.err
    assert old.path.read_bytes() == data
    assert run("import", "claude-ipc", str(old.path.parent / "nowhere")).code == 2


def test_one_that_is_not_taken_stops_no_other(run: Run, old: OldDb) -> None:
    old.names("fred", "wilma")
    old.message("fred", "wilma", "x" * (1024 * 1024 + 1))
    old.message("fred", "wilma", "hello")
    done = run("import", "claude-ipc", str(old.path), "--yes")

    assert done.code == 1
    assert "moved in: 1 messages" in done.out
    assert "not taken: row 1, fred to wilma: body" in done.out
    assert len(waiting("wilma")) == 1


def test_an_import_that_was_cut_off_is_finished_by_the_next(old: OldDb) -> None:
    old.crowd(1500)
    network = find_network("dev")
    found = olddata.read(old.path)

    def cut(what: str, done: int, total: int) -> None:
        if what == "messages" and done > 600:
            raise KeyboardInterrupt

    def carry_out(progress: moving.Progress) -> moving.Moved:
        planned = moving.plan("dev", network.folder, found)
        return moving.carry_out("dev", network.folder, found, planned, progress)

    with pytest.raises(KeyboardInterrupt):
        carry_out(cut)
    assert carry_out(lambda *said: None).messages < 1350
    assert carry_out(lambda *said: None).again == 1500
    _all_is_there(found)


def _all_is_there(found: olddata.OldData) -> None:
    """Each unread message, once, and those of each sender in order."""
    for name in found.names:
        got = []
        with ipcbus.connect("dev", agent=name) as client:
            while True:
                messages, _ = client.fetch(1000)
                for message in messages:
                    assert isinstance(message.body, str)
                    got.append((message.sender, message.body.partition("\n")[2]))
                    message.ack()
                if not messages:
                    break
        wanted = [(one.sender, one.content) for one in found.unread if one.to == name]
        assert sorted(got) == sorted(wanted)
        for sender in found.names:
            mine = [text for who, text in got if who == sender]
            assert mine == [text for who, text in wanted if who == sender]


def test_progress_is_shown_on_a_terminal(old: OldDb, home: Path) -> None:
    old.crowd(100)
    main, side = pty.openpty()
    words = ("import", "claude-ipc", str(old.path), "--yes")
    done = subprocess.run(
        [*COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=side,
        cwd=ROOT,
        env=environment({}),
        timeout=60,
        check=True,
    )
    os.close(side)
    shown = os.read(main, 65536).decode()
    os.close(main)
    assert "messages: 90 of 90" in shown
    assert "names: 20 of 20" in shown
    assert "history: 10 of 10" in shown
    assert b"moved in: 90 messages, 10 as history" in done.stdout


@pytest.mark.slow
def test_a_hundred_thousand_messages_twice(
    call: Call, old: OldDb, broker: BrokerInfo
) -> None:
    old.crowd(100_000)
    before = stamps(old)
    first = call("import", "claude-ipc", str(old.path), "--yes")["moved"]
    second = call("import", "claude-ipc", str(old.path), "--yes")["moved"]

    assert (first["messages"], first["past"], first["again"]) == (90_000, 10_000, 0)
    assert (second["messages"], second["past"]) == (0, 0)
    assert second["again"] == 100_000
    assert first["failed"] == second["failed"] == []
    assert stamps(old) == before
    _all_is_there(olddata.read(old.path))
