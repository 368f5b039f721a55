"""What of an old database is moved in, and as what."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import ipcbus
from ipcbus_bridges.claude_ipc import olddata, plan
from ipcbus_bridges.claude_ipc.plan import Plan
from tests.bridges.claude_ipc.olddb import OldDb, ago


@pytest.fixture
def old(tmp_path: Path) -> OldDb:
    return OldDb(tmp_path / "old")


def planned(old: OldDb, *there: str, ours: tuple[str, ...] = ()) -> Plan:
    data = olddata.read(old.path)
    return plan.make(data, there, lambda agent: agent in ours, time.time())


def test_unread_messages_go_from_their_senders_to_their_readers(old: OldDb) -> None:
    old.names("fred", "wilma")
    old.message("fred", "wilma", "one", data={"a": 1})
    old.message("wilma", "fred", "read", read=1)
    old.message("fred", "wilma", "two", read=None)
    found = planned(old)

    assert set(found.claims) == {"fred", "wilma"}
    rows = [(m.sender, m.to, m.message.content, m.is_future) for m in found.moves]
    assert rows == [
        ("fred", "wilma", "one", False),
        ("fred", "wilma", "two", False),
    ]
    assert found.moves[0].message.data == {"a": 1}
    assert [(m.sender, m.to, m.message.content) for m in found.past] == [
        ("wilma", "fred", "read")
    ]


def test_what_names_long_gone_have_read_makes_no_agents(old: OldDb) -> None:
    old.names("fred")
    old.message("fred", "gone", "read", read=1)
    old.message("gone", "fred", "read", read=1)
    old.message("fred", "wilma", "read", read=1)
    found = planned(old, "wilma")

    assert set(found.claims) == {"fred"}
    assert [move.to for move in found.past] == ["wilma"]


def test_ids_are_the_same_each_time_and_differ_by_content(old: OldDb) -> None:
    when = ago(hours=1)
    old.message("a", "b", "same", sent_at=when)
    old.message("a", "b", "same", sent_at=when)
    first, second = planned(old).moves
    assert first.id != second.id
    assert [move.id for move in planned(old).moves] == [first.id, second.id]
    assert all(len(move.id) <= 64 for move in planned(old).moves)


def test_mail_for_nobody_waits_or_is_left_as_the_old_server_would(old: OldDb) -> None:
    old.names("fred")
    old.message("fred", "nobody", "young", sent_at=ago(days=6))
    old.message("fred", "nobody", "too old", sent_at=ago(days=8))
    old.message("fred", "fred", "old", sent_at=ago(days=80))
    found = planned(old)

    contents = [(move.message.content, move.is_future) for move in found.moves]
    assert contents == [("young", True), ("old", False)]
    assert found.expired == 1


def test_a_sender_that_is_no_instance_becomes_one(old: OldDb) -> None:
    old.names("wilma")
    old.message("wilma", "gone", "first", sent_at=ago(days=1))
    old.message("gone", "wilma", "hello", sent_at=ago(days=30))
    found = planned(old)

    assert set(found.claims) == {"wilma", "gone"}
    assert not any(move.is_future for move in found.moves)


def test_former_names_lead_to_the_present_one(old: OldDb) -> None:
    old.names("freddy")
    old.renamed("fred", "frederic", ago(hours=5))
    old.renamed("frederic", "freddy", ago(minutes=30))
    old.message("fred", "freddy", "to me")
    old.message("freddy", "Fred", "to my former self")
    old.session("fred", "t", ago(hours=-5))
    found = planned(old)

    assert {(move.sender, move.to) for move in found.moves} == {("freddy", "freddy")}
    assert found.renames == [("frederic", "freddy")]
    assert [one.name for one in found.sessions] == ["freddy"]


def test_names_that_go_round_in_a_circle_end_somewhere(old: OldDb) -> None:
    old.renamed("a", "b", ago(minutes=3))
    old.renamed("b", "a", ago(minutes=2))
    old.message("a", "b", "x")
    assert len(planned(old).moves) == 1


def test_names_that_differ_in_case_are_one(old: OldDb) -> None:
    old.names("Fred", "fred")
    assert len(planned(old).claims) == 1


def test_agents_that_are_there_keep_their_names(old: OldDb) -> None:
    old.names("fred", "wilma", "barney")
    old.session("wilma", "t", ago(hours=-5))
    old.message("fred", "wilma", "hello")
    found = planned(old, "Wilma", "barney", ours=("barney",))

    assert set(found.claims) == {"fred"}
    assert found.kept == ["wilma"]
    assert found.sessions == []
    assert len(found.moves) == 1


def test_what_cannot_be_a_name_is_counted(old: OldDb) -> None:
    old.names("ok", "not ok", "system")
    old.message("../../etc", "ok", "x")
    old.message("ok", "x" * 33, "x")
    old.message("ok", "ok", "fine", sent_at="yesterday or so")
    found = planned(old)

    assert found.unusable == 4
    (move,) = found.moves
    assert move.message.sent_at == "at an unknown time"


def test_sessions_that_are_over_are_left(old: OldDb) -> None:
    old.names("fred")
    old.session("fred", "over", ago(hours=1))
    old.session("fred", "valid", ago(hours=-1))
    assert len(planned(old).sessions) == 1


def test_only_files_that_the_server_wrote_are_taken(old: OldDb, tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    path = old.large("a", "b", "all of it")
    link = path.with_name("link.md")
    link.symlink_to(secret)
    for bad in (secret, link, path.parent / ".." / "messages.db", Path("/dev/zero")):
        old.message("a", "b", "x", data={"large_message_file": str(bad)})
    data = olddata.read(old.path)

    files = [data.file_of(message) for message in data.unread]
    assert files == [path, None, None, None, None]


def test_all_of_one_sender_comes_before_all_of_the_next(old: OldDb) -> None:
    for number in range(3):
        old.message("a", "b", f"a{number}")
        old.message("b", "a", f"b{number}")
    runs = plan.by_sender(planned(old).moves)
    contents = [[move.message.content for move in run] for run in runs]
    assert contents == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


# --- what is no such database --------------------------------------------------------


def test_a_damaged_database_is_refused_and_not_touched(old: OldDb) -> None:
    old.crowd(2000)
    whole = old.path.read_bytes()
    middle = len(whole) // 2
    spoilt = whole[:middle] + b"\xff" * 4096 + whole[middle + 4096 :]
    for data in (spoilt, whole[:5000], b"", b"no database" * 100, whole[:16]):
        old.path.write_bytes(data)
        with pytest.raises(ipcbus.errors.StaleFile, match="nothing was read"):
            olddata.read(old.path)
        assert old.path.read_bytes() == data
        assert [path.name for path in old.path.parent.iterdir()] == ["messages.db"]


def test_another_programs_database_is_refused(old: OldDb) -> None:
    old.path.unlink()
    other = OldDb(old.path.parent)
    assert planned(other).moves == []
    other.add("instances", ("x", "y"))
    with pytest.raises(ipcbus.errors.StaleFile, match="lacks name_history"):
        _without(other, "name_history")


def _without(old: OldDb, table: str) -> None:
    import sqlite3

    db = sqlite3.connect(old.path)
    db.execute(f"DROP TABLE {table}")
    db.close()
    olddata.read(old.path)


def test_what_a_killed_server_left_half_done_is_undone_in_the_copy_alone(
    old: OldDb,
) -> None:
    import sqlite3

    old.message("a", "b", "committed")
    db = sqlite3.connect(old.path, isolation_level=None)
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN")
    for number in range(500):
        row = ("a", "b", f"{number} " + "x" * 500, "t")
        db.execute(
            "INSERT INTO messages (from_id, to_id, content, timestamp)"
            " VALUES (?, ?, ?, ?)",
            row,
        )
    left = {path.name: path.read_bytes() for path in old.path.parent.iterdir()}
    db.execute("ROLLBACK")
    db.close()
    for name, data in left.items():
        old.path.with_name(name).write_bytes(data)
    assert "messages.db-journal" in left

    found = olddata.read(old.path)
    assert [message.content for message in found.unread] == ["committed"]
    now = {path.name: path.read_bytes() for path in old.path.parent.iterdir()}
    assert now == left
