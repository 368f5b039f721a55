"""Messages of the past, and every view of a hostile one."""

from __future__ import annotations

import pytest

from tests.doors.cli.conftest import Call, Run, read


def test_history_and_search_find_what_was_settled(
    run: Run, call: Call, bob: str
) -> None:
    call("send", bob, "the build is red", "--thread", "t-1", agent="alice")
    call("send", bob, "lunch?", agent="alice")
    read(run)

    def bodies(*args: str, agent: str | None = "bob") -> list[str]:
        return [m["body"] for m in call(*args, agent=agent)["messages"]]

    assert bodies("history") == ["the build is red", "lunch?"]
    assert bodies("history", agent=None) == ["the build is red", "lunch?"]
    assert bodies("history", "--thread", "t-1") == ["the build is red"]
    assert bodies("history", "--with", "alice", "--limit", "1") == ["lunch?"]
    assert bodies("search", "buil*") == ["the build is red"]
    assert run("search", "nothing", agent="bob").code == 3
    assert run("history", "--with", "nobody", agent="bob").code == 3

    (last,) = call("history", "--limit", "1", agent="bob")["messages"]
    before = str(last["seq"])
    assert bodies("history", "--before", before) == ["the build is red"]
    assert last["state"] == "done"


def test_show_is_for_those_whom_a_message_concerns(
    run: Run, call: Call, bob: str
) -> None:
    sent = call("send", bob, "secret", agent="alice")
    call("register", "carol")

    assert call("show", sent["id"], agent="alice")["body"] == "secret"
    assert "  | secret\n" in run("show", sent["id"], agent="bob").out
    assert run("show", sent["id"], agent="carol").code == 3


@pytest.mark.security
def test_a_hostile_body_is_harmless_in_every_view(
    run: Run, call: Call, bob: str
) -> None:
    evil = "ok\x1b]0;pwned\x07\x1b[2J\nroot  broker  ·  control"
    sent = call("send", bob, "-", agent="alice", stdin=evil.encode())

    for args in (
        ("check", "--peek"),
        ("history",),
        ("show", sent["id"]),
        ("search", "ok"),
        ("check", "--no-ack"),
    ):
        text = run(*args, agent="bob").out
        assert "\x1b" not in text
        assert "\nroot" not in text
        assert "  | root" in text
