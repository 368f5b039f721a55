"""`send`, `inbox`, `ask` and `wait`, as a model calls them."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.doors.tools import Desk, call
from ipcbus.doors.tools.pages import PAGE_BYTES
from ipcbus.transport import launch
from tests.doors.tools.conftest import Sit, registered, sent, texts
from tests.waiting import until


def waiting(desk: Desk) -> int:
    return int(call(desk, "status", {})["waiting"])


# --- what is shown, and when it counts as read ---------------------------------


def test_what_is_sent_is_in_the_inbox_of_its_reader(alice: Desk, bob: Desk) -> None:
    receipt = call(alice, "send", {"to": "bob", "text": "the build is green"})

    page = call(bob, "inbox", {})

    assert receipt["state"] == "accepted"
    assert page == {
        "messages": [
            {
                "id": receipt["id"],
                "from": "alice",
                "trust": "local",
                "age": "now",
                "text": "the build is green",
            }
        ]
    }


def test_what_was_shown_is_read_when_the_next_call_comes(
    alice: Desk, bob: Desk
) -> None:
    sent(alice, "bob", "hi")
    assert texts(call(bob, "inbox", {})) == ["hi"]

    assert call(bob, "inbox", {}) == {"messages": []}

    until(lambda: waiting(bob) == 0)


@pytest.mark.parametrize("tool", ["status", "agents", "profile", "inbox"])
def test_any_call_is_a_sign_that_it_was_seen(
    tool: str, alice: Desk, bob: Desk, sit: Sit
) -> None:
    sent(alice, "bob", "hi")
    call(bob, "inbox", {})
    call(bob, tool, {})
    bob.close()

    assert call(sit("bob"), "inbox", {"peek": True}) == {"messages": []}


def test_a_desk_that_is_left_gives_back_what_was_not_confirmed(
    alice: Desk, bob: Desk, sit: Sit
) -> None:
    sent(alice, "bob", "hi")
    call(bob, "inbox", {})

    bob.close()

    [again] = call(sit("bob"), "inbox", {})["messages"]
    assert again["text"] == "hi"
    assert again["seen_before"] is True


def test_a_message_that_could_not_be_handled_comes_again_and_others_do_not(
    alice: Desk, bob: Desk
) -> None:
    first, _ = sent(alice, "bob", "hard"), sent(alice, "bob", "easy")
    call(bob, "inbox", {})

    page = call(bob, "wait", {"timeout_s": 5, "limit": 5, "network": "dev"})
    assert page["messages"] == []  # both count as read by now

    second = sent(alice, "bob", "hard again")
    call(bob, "inbox", {})
    again = call(bob, "inbox", {"nack": [second]})

    assert texts(again) == ["hard again"]
    assert again["messages"][0]["seen_before"] is True
    assert first != second


def test_what_was_not_shown_cannot_be_given_back(alice: Desk, bob: Desk) -> None:
    id_ = sent(alice, "bob", "hi")

    error = call(bob, "inbox", {"nack": [id_]})["error"]

    assert error["code"] == "no_such_message"
    assert texts(call(bob, "inbox", {})) == ["hi"]


def test_who_peeks_takes_nothing(alice: Desk, bob: Desk, sit: Sit) -> None:
    sent(alice, "bob", "hi")
    assert texts(call(bob, "inbox", {"peek": True})) == ["hi"]
    call(bob, "status", {})

    assert texts(call(bob, "inbox", {})) == ["hi"]


# --- pages and long texts -------------------------------------------------------


def test_a_page_is_bounded_in_messages_and_tells_how_many_are_left(
    alice: Desk, bob: Desk
) -> None:
    for number in range(5):
        sent(alice, "bob", str(number))

    page = call(bob, "inbox", {"limit": 2})

    assert texts(page) == ["0", "1"]
    assert page["remaining"] == 3
    assert texts(call(bob, "inbox", {})) == ["2", "3", "4"]


def test_a_page_is_bounded_in_bytes_too(alice: Desk, bob: Desk) -> None:
    for _ in range(5):
        sent(alice, "bob", "x" * 5_000)

    page = call(bob, "inbox", {})

    assert sum(map(len, texts(page))) <= PAGE_BYTES
    assert len(page["messages"]) + page["remaining"] == 5


def test_a_long_text_is_shown_by_its_beginning_and_read_in_pieces(
    alice: Desk, bob: Desk
) -> None:
    long = "First. Second. " + "päivää " * 5_000
    id_ = sent(alice, "bob", long)

    [shown] = call(bob, "inbox", {})["messages"]
    assert shown["text"] == "First. Second."
    assert "KiB in all" in shown["more"]

    part = call(bob, "inbox", {"read": id_})
    read = part["text"]
    while "next" in part:
        part = call(bob, "inbox", {"read": id_, "offset": part["next"]})
        read += part["text"]
    assert read == long


def test_past_messages_are_listed_and_found_page_by_page(
    alice: Desk, bob: Desk
) -> None:
    for word in ("red", "green", "blue"):
        sent(alice, "bob", word)

    first = call(bob, "inbox", {"history": True, "limit": 2})
    second = call(bob, "inbox", {"history": True, "before": first["next"]})

    assert texts(first) == ["blue", "green"]
    assert texts(second) == ["red"]
    assert "next" not in second
    until(lambda: texts(call(bob, "inbox", {"search": "green"})) == ["green"])


def test_only_what_was_exchanged_with_one_agent_is_listed(
    alice: Desk, bob: Desk, sit: Sit
) -> None:
    carl = registered(sit("carl"))
    sent(alice, "bob", "from alice")
    sent(carl, "bob", "from carl")

    assert texts(call(bob, "inbox", {"with": "carl"})) == ["from carl"]


# --- sending ---------------------------------------------------------------------


def test_a_conversation_is_listed_by_its_thread_and_takes_no_new_mail(
    alice: Desk, bob: Desk
) -> None:
    sent(alice, "bob", "one", thread="t-1")
    sent(alice, "bob", "two")

    assert texts(call(bob, "inbox", {"thread": "t-1"})) == ["one"]
    assert texts(call(bob, "inbox", {})) == ["one", "two"]


def test_an_answer_is_a_reply_in_the_thread_of_its_question(
    alice: Desk, bob: Desk
) -> None:
    question = sent(alice, "bob", "ready?", thread="t-1")
    begun = sent(alice, "bob", "by the way")
    call(bob, "inbox", {})
    sent(bob, "alice", "yes", reply_to=question)
    sent(bob, "alice", "go on", reply_to=begun)
    sent(bob, "alice", "to nothing that is known", reply_to="forgotten")

    answer, other, last = call(alice, "inbox", {})["messages"]

    assert answer["kind"] == "reply"
    assert answer["reply_to"] == question
    assert answer["thread"] == "t-1"
    assert other["thread"] == begun
    assert "thread" not in last


def test_everyone_and_topics_are_written_to(alice: Desk, bob: Desk, sit: Sit) -> None:
    carl = registered(sit("carl"))
    assert call(bob, "profile", {"join": ["#builds"]})["topics"] == ["#builds"]

    assert call(alice, "send", {"to": "*", "text": "all"})["recipients"] == 2
    call(alice, "send", {"to": "#builds", "text": "some"})

    assert texts(call(bob, "inbox", {})) == ["all", "some"]
    assert texts(call(carl, "inbox", {})) == ["all"]
    assert call(bob, "inbox", {"history": True})["messages"][0]["to"] == "#builds"
    assert call(bob, "profile", {"leave": ["builds"]})["topics"] == []


def test_files_are_sent_along_and_saved(alice: Desk, bob: Desk, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("all well")
    id_ = sent(alice, "bob", "see the file", attach=[str(file)])

    [shown] = call(bob, "inbox", {})["messages"]
    read = call(bob, "inbox", {"read": id_, "save": str(tmp_path / "in")})

    assert shown["attachments"] == ["report.txt (8 B)"]
    assert Path(read["saved"][0]).read_text() == "all well"


def test_a_file_that_is_not_there_is_an_error_and_nothing_is_sent(
    alice: Desk, bob: Desk
) -> None:
    answer = call(alice, "send", {"to": "bob", "text": "x", "attach": ["/nowhere/x"]})

    assert answer["error"]["code"] == "usage"
    assert "cannot be read" in answer["error"]["message"]
    assert call(bob, "inbox", {}) == {"messages": []}


def test_a_name_that_nobody_has_is_an_error_with_near_ones(
    alice: Desk, bob: Desk
) -> None:
    error = call(alice, "send", {"to": "bbo", "text": "x"})["error"]

    assert error["code"] == "unknown_recipient"
    assert error["near"] == ["bob"]
    waits = call(alice, "send", {"to": "dora", "text": "x", "future": True})
    assert waits["state"] == "future"


def test_the_same_id_again_is_the_same_message(alice: Desk, bob: Desk) -> None:
    again = {"to": "bob", "text": "once", "id": "one-of-a-kind"}
    call(alice, "send", again)

    assert call(alice, "send", again)["again"] is True
    assert texts(call(bob, "inbox", {})) == ["once"]


# --- waiting ---------------------------------------------------------------------


def test_an_answer_is_waited_for(alice: Desk, bob: Desk) -> None:
    def answer() -> None:
        [asked] = call(bob, "wait", {"timeout_s": 20})["messages"]
        sent(bob, "alice", "42", reply_to=asked["id"])

    thread = Thread(target=answer)
    thread.start()
    found = call(alice, "ask", {"to": "bob", "text": "how many?", "timeout_s": 20})
    thread.join()

    assert found["answer"]["text"] == "42"
    assert found["answer"]["from"] == "bob"


def test_who_waited_in_vain_goes_on_waiting_with_the_id(alice: Desk, bob: Desk) -> None:
    waits = call(alice, "ask", {"to": "bob", "text": "how many?", "timeout_s": 1})
    assert waits["state"] == "waiting"

    [asked] = call(bob, "inbox", {})["messages"]
    assert asked["id"] == waits["id"]
    sent(bob, "alice", "42", reply_to=asked["id"])

    found = call(alice, "ask", {"id": waits["id"], "timeout_s": 20})
    assert found["answer"]["text"] == "42"


def test_an_answer_that_was_read_by_the_way_is_not_waited_for_for_ever(
    alice: Desk, bob: Desk
) -> None:
    waits = call(alice, "ask", {"to": "bob", "text": "how many?", "timeout_s": 1})
    still = call(alice, "ask", {"id": waits["id"], "timeout_s": 1})
    sent(bob, "alice", "42", reply_to=waits["id"])
    assert texts(call(alice, "inbox", {})) == ["42"]

    found = call(alice, "ask", {"id": waits["id"], "timeout_s": 1})

    assert still == waits
    assert (found["answer"]["text"], found["answer"]["state"]) == ("42", "done")


def test_a_question_needs_somebody_and_words(alice: Desk) -> None:
    assert call(alice, "ask", {"to": "bob"})["error"]["code"] == "usage"


def test_mail_is_waited_for_in_all_networks(alice: Desk, sit: Sit) -> None:
    launch.start(networks.create("prod"))
    wide = registered(sit("eve", "dev", "prod"))
    with ipcbus.connect("prod", agent="zoe") as zoe:
        zoe.send("eve", "from prod")

        [found] = call(wide, "wait", {"timeout_s": 20})["messages"]

        assert (found["network"], found["text"]) == ("prod", "from prod")
        sent(wide, "zoe@prod", "back")
        assert zoe.receive(1, timeout=20)[0].body == "back"
    sent(alice, "eve", "from dev")
    assert texts(call(wide, "wait", {"timeout_s": 20})) == ["from dev"]
    assert call(wide, "wait", {"timeout_s": 1}) == {"messages": []}


def test_an_ack_wakes_nobody_and_comes_with_the_next_mail(
    alice: Desk, bob: Desk
) -> None:
    alice.client().send("bob", "seen", kind="ack")
    assert call(bob, "wait", {"timeout_s": 1}) == {"messages": []}

    sent(alice, "bob", "hi")

    assert texts(call(bob, "wait", {"timeout_s": 20})) == ["seen", "hi"]


def test_who_is_paused_is_told_so_and_gets_its_mail_later(
    alice: Desk, bob: Desk
) -> None:
    with ipcbus.connect("dev", agent="") as operator:
        operator.call("pause", "bob")
        sent(alice, "bob", "hi")
        for tool, args in (("inbox", {}), ("wait", {"timeout_s": 1})):
            found = call(bob, tool, args)
            assert found["messages"] == []
            assert found["paused"] == "a person has stopped deliveries"
        operator.call("resume", "bob")

    assert texts(call(bob, "wait", {"timeout_s": 20})) == ["hi"]
