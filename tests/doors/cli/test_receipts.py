"""`send --wait` within one network."""

from __future__ import annotations

import pytest

from tests.doors.cli.conftest import Begin, Call, Run, read

pytestmark = pytest.mark.usefixtures("broker")


def test_a_sender_may_wait_until_its_mail_is_acked(
    run: Run, call: Call, begin: Begin, bob: str
) -> None:
    waiting = begin("wait", "--json", agent=bob)

    done = call("send", bob, "hi", "--wait", "acked", "--id", "m-1", agent="alice")

    assert done == {"id": "m-1", "state": "acked", "to": "bob"}
    assert waiting.end().code == 0
    assert read(run, "alice") == []


def test_an_answer_is_as_good_as_an_ack_and_stays_mail(
    run: Run, call: Call, begin: Begin, bob: str
) -> None:
    sending = begin("send", bob, "hi", "--wait", "acked", "--json", agent="alice")
    (found,) = call("wait", "--no-ack", "--timeout", "20", agent=bob)["messages"]
    call("reply", found["id"], "yes", agent=bob)

    done = sending.end()

    assert (done.code, done.json["state"]) == (0, "acked")
    (answer,) = read(run, "alice")
    assert (answer["body"], answer["attempt"]) == ("yes", 1)


def test_local_mail_is_relayed_by_nobody(run: Run, call: Call, bob: str) -> None:
    for to in (bob, "bob@dev"):
        done = call("send", to, "hi", "--wait", "relayed", agent="alice")
        assert done["state"] == "accepted"

    said = run("send", bob, "hi", "--wait", "relayed", agent="alice").out
    assert said.startswith("accepted  to bob  id ")
    assert said.endswith("  local\n")
    assert len(read(run)) == 3


@pytest.mark.parametrize(
    ("args", "exit_code", "code"),
    [
        (("#news", "hi", "--wait", "acked"), 2, "usage"),
        (("*", "hi", "--wait", "relayed"), 2, "usage"),
        (("bob", "hi", "--wait", "read"), 2, "usage"),
        (("nobody", "hi", "--wait", "acked"), 6, "unknown_recipient"),
        (("bob@nowhere", "hi", "--wait", "relayed"), 6, "unknown_recipient"),
        (("bob", "hi", "--wait", "acked", "--timeout", "200ms"), 3, "timed_out"),
    ],
)
def test_what_cannot_be_waited_for(
    run: Run, bob: str, args: tuple[str, ...], exit_code: int, code: str
) -> None:
    done = run("send", *args, "--json", agent="alice")

    assert (done.code, done.json["error"]["code"]) == (exit_code, code)


def test_people_see_how_far_it_came(run: Run, begin: Begin, bob: str) -> None:
    begin("wait", "--json", agent=bob)

    done = run("send", bob, "hi", "--wait", "acked", "--id", "m-1", agent="alice")

    assert done.out == "acked  to bob  id m-1\n"
