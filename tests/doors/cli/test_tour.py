"""The four commands that most people need: up, send, check, ask."""

from __future__ import annotations

import signal

from tests.doors.cli.conftest import Begin, Run


def test_two_agents_talk_through_a_broker_in_the_foreground(
    run: Run, begin: Begin
) -> None:
    broker = begin("up", "--network", "dev", "--port", "0")
    ready = broker.line()
    assert ready.startswith("network dev is up at tcp://127.0.0.1:")
    assert ready.endswith(f"(pid {broker.process.pid})")
    assert run("register", "bob").code == 0

    sent = run("send", "bob", "build", "is", "green", "--as", "alice")
    assert sent.code == 0
    assert sent.out.startswith("accepted  to bob  id ")

    read = run("check", "--as", "bob")
    assert read.code == 0
    assert read.out.startswith("alice  local  ·  inform  ·  ")
    assert "  | build is green\n" in read.out
    assert run("check", "--as", "bob").code == 3

    asking = begin("ask", "bob", "all well?", "--as", "alice", "--timeout", "20s")
    request = run("wait", "--as", "bob", "--timeout", "20s", "--json").json
    (question,) = request["messages"]
    assert (question["body"], question["kind"]) == ("all well?", "request")
    assert run("reply", question["id"], "yes", "--as", "bob").code == 0
    answered = asking.end()
    assert answered.code == 0
    assert "  | yes\n" in answered.out
    assert run("check", "--as", "alice").code == 3

    broker.signal(signal.SIGINT)
    assert broker.end().code == 0


def test_the_first_message_waits_for_the_second_agent(run: Run) -> None:
    """Nobody is there that its recipient could be a misspelling of."""
    assert run("up", "--network", "dev", "--detach").code == 0
    sent = run("send", "bob", "hi", "--network", "dev", "--as", "alice", "--json")
    assert (sent.code, sent.json["state"]) == (0, "future")
    assert "nobody is called bob yet" in sent.err
    assert "  | hi\n" in run("check", "--network", "dev", "--as", "bob").out
    assert run("send", "bbo", "hi", "--network", "dev", "--as", "alice").code == 6


def test_nobody_has_to_start_a_broker(run: Run) -> None:
    """The first to need one starts it; the network alone has to be there."""
    assert run("up", "--network", "dev", "--detach").code == 0
    assert run("down").code == 0

    assert run("send", "bob", "hi", "--as", "alice", "--future").code == 0
    assert "  | hi\n" in run("check", "--as", "bob").out
