"""`agent`: a model, or any program, as a member of a network."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import ipcbus
from tests.doors.cli.conftest import RUN_S, Begin, Call, Run, Running

UPPER = "import sys; print(sys.stdin.read().upper())"


def options(adapter: str, folder: Path) -> list[str]:
    """The command line of an agent that says what it hears in capitals, or as it is."""
    if adapter == "script":
        file = folder / "script.yaml"
        file.write_text('default: "{text}"')
        return ["--adapter", "script", "--option", f"file={file}"]
    if adapter == "command":
        program = (sys.executable, "-S", "-c", UPPER)
        return ["--adapter", "command", "--option", "input=last", "--", *program]
    return ["--adapter", adapter]


def serving(begin: Begin, *words: str) -> Running:
    """An agent that says that it serves."""
    agent = begin("agent", "--as", "e", "--network", "dev", "--json", *words)
    said = json.loads(agent.line())["said"]
    assert said.startswith("e serves dev by "), said
    return agent


def ask(body: str, **more: Any) -> ipcbus.Message:
    with ipcbus.connect("dev", agent="alice") as alice:
        return alice.ask("e", body, timeout=RUN_S, **more)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("adapter", ["echo", "script", "command"])
def test_on_an_empty_machine_it_starts_a_broker_that_outlives_it(
    adapter: str,
    number: signal.Signals,
    home: Path,
    begin: Begin,
    call: Call,
    tmp_path: Path,
) -> None:
    assert [*home.iterdir()] == []
    agent = serving(begin, *options(adapter, tmp_path))
    before = call("status")
    assert [*home.rglob("broker.json")] != []

    assert str(ask("hello").body).casefold() == "hello"
    agent.signal(number)
    done = agent.end()

    assert (done.code, done.err) == (0, "")
    after = call("status")
    assert (after["pid"], after["epoch"]) == (before["pid"], before["epoch"])


def test_mail_waits_until_it_serves_again(home: Path, begin: Begin) -> None:
    first = serving(begin, "--adapter", "echo")
    first.signal(signal.SIGTERM)
    assert first.end().code == 0
    with ipcbus.connect("dev", agent="alice") as alice:
        alice.send("e", "one")

        serving(begin, "--adapter", "echo")

        [answer] = alice.receive(1, timeout=RUN_S)
        answer.ack()
    assert answer.body == "one"


def test_it_joins_topics_and_answers_what_is_said_there(
    home: Path, begin: Begin
) -> None:
    serving(begin, "--adapter", "echo", "--topic", "#news", "--topic", "builds")
    with ipcbus.connect("dev", agent="alice") as alice:
        for topic in ("news", "builds"):
            alice.send(f"#{topic}", f"of {topic}")
        found: list[str] = []
        while len(found) < 2:
            for message in alice.receive(2, timeout=RUN_S):
                found.append(str(message.body))
                message.ack()
    assert sorted(found) == ["of builds", "of news"]


def test_its_model_is_given_the_tools_that_were_named(
    home: Path, begin: Begin, tmp_path: Path
) -> None:
    """The script sends a message by a tool, and says what became of it."""
    file = tmp_path / "script.yaml"
    file.write_text("""
replies:
  - calls: [{name: send, arguments: {to: alice, text: "by the tool"}}]
    say: "{answer}"
""")
    script = ("--adapter", "script", "--option", f"file={file}")
    agent = serving(begin, *script, "--tools", "agents")
    assert "no send in this turn" in ask("go").body
    agent.signal(signal.SIGINT)
    agent.end()

    serving(begin, *script)
    with ipcbus.connect("dev", agent="alice") as alice:
        alice.send("e", "go")
        found = [message.body for _ in "12" for message in alice.receive(1, RUN_S)]
    assert found[0] == "by the tool"
    assert '"state": "accepted"' in str(found[1])


def test_its_persona_is_what_the_model_is_told(
    home: Path, begin: Begin, tmp_path: Path
) -> None:
    (tmp_path / "persona.md").write_text("You love tea.")
    program = (sys.executable, "-S", "-c", UPPER)
    command = ("--adapter", "command", "--persona", str(tmp_path / "persona.md"))
    serving(begin, *command, "--", *program)

    body = str(ask("hello").body)

    assert "YOU ARE E, AN AGENT ON THE NETWORK DEV" in body
    assert "YOU LOVE TEA." in body


def test_at_a_limit_it_stops_and_tells_and_goes_on_when_somebody_says_so(
    home: Path, begin: Begin, call: Call
) -> None:
    limit = ("--adapter", "echo", "--limit", "turns_per_thread=1", "--human", "ann")
    agent = serving(begin, *limit)
    first = ask("hello")
    with ipcbus.connect("dev", agent="alice") as alice:
        alice.send("e", "again", thread=first.thread)
        [notice] = alice.receive(1, timeout=RUN_S)
        notice.ack()
        assert "e is paused until somebody says: ipcbus resume e" in str(notice.body)
        assert json.loads(agent.line())["said"] == notice.body
        with ipcbus.connect("dev", agent="ann") as ann:
            [told] = ann.receive(1, timeout=RUN_S)
            assert (told.sender, told.body) == ("e", notice.body)

        agent.signal(signal.SIGTERM)
        agent.end()
        serving(begin, *limit)  # a new start is no way around a limit
        assert call("resume", "e", "--network", "dev")["lifted"] == ["e"]

        [answer] = alice.receive(1, timeout=RUN_S)
        answer.ack()
        assert answer.body == "again"


def test_a_key_that_is_refused_ends_it_and_keeps_the_mail(
    home: Path, begin: Begin, call: Call, tmp_path: Path
) -> None:
    file = tmp_path / "script.yaml"
    file.write_text("replies: [{fail: key}]")
    agent = serving(begin, "--adapter", "script", "--option", f"file={file}")
    with ipcbus.connect("dev", agent="alice") as alice:
        alice.send("e", "hello")

    done = agent.end()

    assert done.code == 8
    assert json.loads(done.out)["error"]["code"] == "key_refused"
    kept = call("check", "--peek", "--network", "dev", agent="e")
    assert [one["body"] for one in kept["messages"]] == ["hello"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--adapter", "echo"], 2, "who shall it be? Say --as NAME"),
        (["--as", "e"], 2, "by which adapter?"),
        (["--as", "e", "--adapter", "ecko"], 8, "did you mean echo?"),
        (["--as", "e", "--adapter", "echo", "--model", "m"], 2, "echo takes no model"),
        (["--as", "e", "--adapter", "echo", "--option", "a"], 2, "takes KEY=VALUE"),
        (["--as", "e", "--adapter", "echo", "--tools", "inbox"], 2, "cannot have"),
        (["--as", "e", "--adapter", "echo", "--limit", "a=1"], 2, "there is no 'a'"),
        (["--as", "e", "--adapter", "echo", "--limit", "turn_s=-1"], 2, "turn_s"),
        (["--as", "e", "--adapter", "echo", "--persona", "/no/such"], 2, "/no/such"),
        (["--as", "e", "--adapter", "command"], 2, "say which program"),
        (["--as", "e", "--adapter", "script"], 2, "file=PATH"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_started(
    words: list[str], code: int, said: str, run: Run, home: Path
) -> None:
    done = run("agent", "--network", "dev", *words)

    assert done.code == code
    assert said in done.err
    assert [*home.rglob("broker.json")] == []


def test_without_any_network_it_says_how_to_start_one(run: Run) -> None:
    done = run("agent", "--adapter", "echo", "--as", "e")

    assert done.code == 4
    assert "ipcbus up --network dev" in done.err
