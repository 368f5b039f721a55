"""Messages settled by id, and those that were given up."""

from __future__ import annotations

from tests.doors.cli.conftest import Call, Run, read


def test_without_ack_a_message_is_settled_by_id(run: Run, call: Call, bob: str) -> None:
    call("send", bob, "hi", "--id", "m-1", agent="alice")

    assert len(read(run, "bob", "--no-ack")) == 1
    assert read(run) == []  # it is leased
    assert call("extend", "m-1", "--by", "2h", agent="bob")["ids"] == ["m-1"]
    assert call("ack", "m-1", agent="bob") == {"action": "ack", "ids": ["m-1"]}
    gone = run("ack", "m-1", "--json", agent="bob")
    assert (gone.code, gone.json["error"]["code"]) == (5, "stale_lease")


def test_a_refused_message_comes_again_and_is_counted(
    run: Run, call: Call, bob: str
) -> None:
    call("send", bob, "hi", "--id", "m-1", agent="alice")

    assert [m["attempt"] for m in read(run, "bob", "--no-ack")] == [1]
    call("nack", "m-1", agent="bob")
    assert [m["attempt"] for m in read(run)] == [2]


def give_up(run: Run, call: Call, id_: str, reason: str = "no time") -> None:
    """Let bob refuse a message until it is a dead letter."""
    call("send", "bob", "hi", "--id", id_, agent="alice")
    for _ in range(5):
        assert len(read(run, "bob", "--no-ack")) == 1
        call("nack", id_, "--reason", reason, agent="bob")
    assert read(run) == []


def test_dead_letters_are_listed_shown_and_replayed(
    run: Run, call: Call, bob: str
) -> None:
    assert run("dead", "list", agent="bob").code == 3
    give_up(run, call, "m-1", "no \x1b[31mtime")

    (letter,) = call("dead", "list", agent="bob")["dead"]
    assert (letter["id"], letter["from"], letter["attempts"]) == ("m-1", "alice", 5)
    assert letter["reason"] == "no \x1b[31mtime"
    assert call("dead", "list")["dead"][0]["mailbox"] == "bob"  # the operator's view
    assert call("dead", "show", "m-1", agent="bob")["message"]["body"] == "hi"
    for words in (("list",), ("show", "m-1")):
        text = run("dead", *words, agent="bob").out
        assert "no \\x1b[31mtime" in text

    assert call("dead", "replay", "m-1", agent="bob") == {"replayed": 1}
    assert [m["body"] for m in read(run)] == ["hi"]


def test_dead_letters_can_be_dropped(run: Run, call: Call, bob: str) -> None:
    give_up(run, call, "m-1")

    assert run("dead", "drop", "--json").code == 2  # neither an id nor --all
    assert call("dead", "drop", "--all") == {"dropped": 1}
    assert call("dead", "replay", "--all") == {"replayed": 0}
    assert run("dead", "show", "m-1").code == 3
