"""`tools` and `call`: any model that can emit JSON is on the bus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from ipcbus.doors.tools import FORMATS, TOOLS, formatted
from ipcbus.networks import BrokerInfo
from tests.doors.cli.conftest import COMMAND, ROOT, Run, environment, read


def lines(*calls: dict[str, Any]) -> bytes:
    return "".join(json.dumps(call) + "\n" for call in calls).encode()


@pytest.mark.parametrize("name", FORMATS)
def test_tools_prints_what_a_request_takes(run: Run, name: str) -> None:
    done = run("tools", "--format", name)

    assert done.json == formatted(TOOLS, name)


def test_tools_lists_them_for_people(run: Run) -> None:
    done = run("tools")

    assert all(tool.name in done.out for tool in TOOLS)
    assert run("tools", "--json").json == formatted(TOOLS, "mcp")


def test_one_call_is_one_answer(run: Run, bob: str) -> None:
    receipt = run("call", "send", '{"to": "bob", "text": "hi"}', agent="alice").json
    page = run("call", "inbox", agent="bob").json

    assert receipt["state"] == "accepted"
    assert page["messages"][0]["text"] == "hi"
    assert run("call", "inbox", agent="bob").json == {"messages": []}


def test_arguments_may_come_from_stdin(run: Run, bob: str) -> None:
    args = json.dumps({"to": "bob", "text": 'it\'s "quoted" $HOME'}).encode()

    assert run("call", "send", "-", agent="alice", stdin=args).code == 0
    assert read(run)[0]["body"] == 'it\'s "quoted" $HOME'


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("send", '{"to": "nobody", "text": "x"}'), 6, "unknown_recipient"),
        (("send", "{}"), 2, "usage"),
        (("send", "{"), 2, "usage"),
        (("sned", "{}"), 2, "usage"),
        (("ask", '{"to": "bob", "text": "x", "timeout_s": 1}'), 0, None),
    ],
)
def test_a_call_that_fails_says_so_in_json_and_by_its_exit_code(
    run: Run, bob: str, args: tuple[str, ...], code: int, said: str | None
) -> None:
    done = run("call", *args, "--json", agent="alice")

    assert done.code == code
    assert done.json.get("error", {}).get("code") == said
    assert done.err == ""


@pytest.mark.parametrize("args", [("send", "{"), ("send", "{}", "{}"), ("--nothing",)])
def test_a_line_that_is_wrong_is_answered_in_json_too(
    run: Run, args: tuple[str, ...]
) -> None:
    done = run("call", *args)

    assert (done.code, done.err) == (2, "")
    assert done.json["error"]["code"] == "usage"


def test_no_line_ends_a_conversation_and_each_answer_says_to_which_call(
    run: Run, bob: str
) -> None:
    done = run(
        "call",
        agent="bob",
        stdin=lines(
            {"id": 1, "name": "inbox", "arguments": "{bad"},
            {"id": 2, "name": "inbox", "arguments": "-"},
            {"id": 3, "name": ["inbox"]},
        )
        + b"[" * 100_000
        + b"\n"
        + lines({"id": 4, "name": "inbox"}),
    )

    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [answer.get("call") for answer in answers] == [1, 2, 3, None, 4]
    assert [answer["error"]["code"] for answer in answers[:4]] == ["usage"] * 4
    assert answers[4] == {"call": 4, "messages": []}


def test_a_conversation_is_answered_in_order_by_one_process(run: Run, bob: str) -> None:
    done = run(
        "call",
        stdin=lines(
            {"name": "profile", "arguments": {"name": "carl"}},
            {"name": "send", "arguments": '{"to": "bob", "text": "as OpenAI does"}'},
            {"id": "c-3", "name": "agents", "arguments": None},
            {"name": "nothing"},
            {"arguments": {}},
        )
        + b"no json\n\n",
    )

    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [next(iter(answer)) for answer in answers] == [
        "agent",
        "id",
        "call",
        "error",
        "error",
        "error",
    ]
    assert answers[2]["call"] == "c-3"
    assert done.code == 0
    assert read(run)[0]["from"] == "carl"


def test_the_last_page_of_a_conversation_is_read_if_somebody_is_there(
    run: Run, call: Any, bob: str
) -> None:
    call("send", bob, "hi", agent="alice")

    run("call", agent="bob", stdin=lines({"name": "inbox"}))

    assert read(run) == []


def test_what_a_conversation_showed_to_a_reader_that_was_killed_comes_again(
    run: Run, call: Any, bob: str
) -> None:
    call("send", bob, "hi", agent="alice")
    process = subprocess.Popen(
        [*COMMAND, "call", "--as", "bob"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment({}),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines({"name": "inbox"}))
    process.stdin.flush()
    assert b"hi" in process.stdout.readline()

    process.stdout.close()  # as when the parent dies: both ends of it are gone
    process.stdin.close()
    assert process.wait(30) == 0

    [again] = run("call", "inbox", agent="bob").json["messages"]
    assert again["seen_before"] is True


def test_what_a_killed_conversation_had_shown_comes_again(
    run: Run, call: Any, bob: str
) -> None:
    call("send", bob, "hi", agent="alice")
    process = subprocess.Popen(
        [*COMMAND, "call", "--as", "bob"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment({}),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines({"name": "inbox"}))
    process.stdin.flush()
    assert b"hi" in process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    page = run("call", "wait", '{"timeout_s": 40}', agent="bob").json

    assert page["messages"][0]["seen_before"] is True


def test_a_model_may_be_in_several_networks(
    run: Run, bob: str, prod: BrokerInfo
) -> None:
    done = run("call", "profile", '{"name": "eve"}', "--network", "dev,prod")

    assert done.json["networks"] == ["dev", "prod"]
    sent = run(
        "call", "send", '{"to": "eve@prod", "text": "x"}', "-n", "dev,prod", agent="zoe"
    )
    assert sent.code == 0, sent
    assert read(run, "eve", "--network", "prod")[0]["from"] == "zoe"
