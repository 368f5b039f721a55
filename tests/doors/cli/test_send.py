"""`send`, `broadcast`, `reply` and `ask`, against a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doors.cli.conftest import Call, Run, read
from tests.doors.cli.test_app import HEAVY, imported_by

pytestmark = pytest.mark.usefixtures("broker")


def test_send_says_id_state_and_recipient(call: Call, bob: str) -> None:
    receipt = call("send", bob, "hi", agent="alice")

    assert set(receipt) == {"id", "state", "to"}
    assert (receipt["state"], receipt["to"]) == ("accepted", "bob")


def test_a_message_arrives_as_it_was_sent(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    log = tmp_path / "build.log"
    log.write_bytes(bytes(range(256)))
    receipt = call(
        *("send", bob, "hello", "there", "--kind", "request", "--thread", "t-1"),
        *("--reply-to", "m-0", "--ttl", "2h", "--priority", "9", "--id", "m-1"),
        *("--data", '{"n": [1, 2.5, null]}', "--label", "ci", "--label", "red"),
        *("--header", "build=7=8", "--content-type", "text/markdown"),
        *("--attach", str(log)),
        agent="alice",
    )
    assert receipt["id"] == "m-1"

    (found,) = read(run)

    assert found["body"] == "hello there"
    assert (found["from"], found["to"], found["network"]) == ("alice", "bob", "dev")
    assert (found["kind"], found["priority"], found["attempt"]) == ("request", 9, 1)
    assert (found["thread"], found["reply_to"]) == ("t-1", "m-0")
    assert found["data"] == {"n": [1, 2.5, None]}
    assert found["labels"] == ["ci", "red"]
    assert found["headers"] == {"build": "7=8"}
    assert found["content_type"] == "text/markdown"
    assert found["expires_at"] > found["accepted_at"]
    assert (found["trust"], found["hops"]) == ("local", [])
    assert 0 <= found["age_s"] < 60
    (attached,) = found["attachments"]
    assert (attached["name"], attached["size"]) == ("build.log", 256)

    saved = call("show", "m-1", "--save", str(tmp_path / "got"), agent="bob")
    assert saved["written"] == [str(tmp_path / "got" / "build.log")]
    assert (tmp_path / "got" / "build.log").read_bytes() == log.read_bytes()


def test_a_body_can_come_from_stdin(run: Run, call: Call, bob: str) -> None:
    call("send", bob, "-", agent="alice", stdin="Grüße\nzwei".encode())

    assert [m["body"] for m in read(run)] == ["Grüße\nzwei"]


def test_a_body_can_come_from_a_file_of_any_bytes(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"\xff\x00")
    sent = call("send", bob, "--file", str(tmp_path / "in"), agent="alice")

    (found,) = read(run)
    assert (found["body"], found["encoding"]) == ("/wA=", "base64")

    out = tmp_path / "out"
    call("show", sent["id"], "--out", str(out), agent="bob")
    assert out.read_bytes() == b"\xff\x00"
    again = run("show", sent["id"], "--out", str(out), agent="bob")
    assert (again.code, out.read_bytes()) == (2, b"\xff\x00")


def test_the_same_id_again_is_sent_only_once(run: Run, call: Call, bob: str) -> None:
    first = call("send", bob, "hi", "--id", "k-1", agent="alice")
    again = call("send", bob, "hi", "--id", "k-1", agent="alice")

    assert first == again
    assert len(read(run)) == 1

    other = run("send", bob, "other", "--id", "k-1", "--json", agent="alice")
    assert (other.code, other.json["error"]["code"]) == (5, "id_clash")


def test_an_unknown_recipient_is_told_with_near_names(run: Run, bob: str) -> None:
    done = run("send", "bbo", "hi", "--json", agent="alice")

    assert done.code == 6
    assert done.json["error"]["code"] == "unknown_recipient"
    assert "bob" in done.json["error"]["message"]


def test_mail_to_a_future_name_waits_for_it(run: Run, call: Call) -> None:
    assert call("send", "carol", "hi", "--future", agent="alice")["state"] == "future"

    assert [m["body"] for m in read(run, "carol")] == ["hi"]


def test_a_broadcast_reaches_everyone_but_its_sender(
    run: Run, call: Call, bob: str
) -> None:
    call("register", "carol")
    call("broadcast", "lunch", "at", "12", agent="alice")

    for name in ("bob", "carol"):
        assert [m["body"] for m in read(run, name)] == ["lunch at 12"]
    assert read(run, "alice") == []


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (("bob",), "usage", 2),
        (("bob", "hi", "--data", "{"), "usage", 2),
        (("bob", "hi", "--data", "[" * 100_000), "usage", 2),
        (("bob", "hi", "--data", r'["\ud83d"]'), "usage", 2),
        (("bob", "hi", "--header", "novalue"), "usage", 2),
        (("bob", "hi", "--ttl", "soon"), "usage", 2),
        (("bob", "hi", "--file", "/nonexistent"), "usage", 2),
        (("bob", "--file", "/nonexistent"), "usage", 2),
        (("bob", "hi", "--attach", "/nonexistent"), "usage", 2),
        (("no such name", "hi"), "invalid_address", 2),
        (("bob", "hi", "--id", "a b"), "invalid_message", 2),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(
    run: Run, bob: str, args: tuple[str, ...], code: str, exit_code: int
) -> None:
    done = run("send", *args, "--json", agent="alice")

    assert (done.code, done.json["error"]["code"]) == (exit_code, code)
    assert read(run) == []


def test_a_body_above_the_bound_is_refused(run: Run, bob: str) -> None:
    done = run("send", bob, "-", "--json", agent="alice", stdin=b"x" * (2**20 + 1))

    assert (done.code, done.json["error"]["code"]) == (5, "bound_exceeded")


def test_a_real_send_loads_nothing_heavy(home: Path, bob: str) -> None:
    found = imported_by(
        "from ipcbus.doors.cli.app import run\n"
        "assert run(['send', 'bob', 'hi', '--as', 'alice', '--json']) == 0",
        beyond="import zmq",  # which loads `inspect` on Python 3.13
    )

    assert found & {*HEAVY, "click", "inspect"} == set()


# --- reply and ask -------------------------------------------------------------


def test_a_reply_goes_to_the_sender_in_the_thread(
    run: Run, call: Call, bob: str
) -> None:
    asked = call("send", bob, "red?", agent="alice")
    call("reply", asked["id"], "green", agent="bob")

    (found,) = read(run, "alice")
    assert (found["from"], found["kind"], found["body"]) == ("bob", "reply", "green")
    assert (found["reply_to"], found["thread"]) == (asked["id"], asked["id"])


def test_a_reply_to_nothing_is_an_error(run: Run, bob: str) -> None:
    done = run("reply", "m-404", "hi", "--json", agent="bob")

    assert (done.code, done.json["error"]["code"]) == (3, "no_such_message")


def test_ask_ends_with_3_when_no_answer_comes(run: Run, bob: str) -> None:
    done = run("ask", bob, "well?", "--timeout", "200ms", "--json", agent="alice")

    assert (done.code, done.json["error"]["code"]) == (3, "timed_out")
