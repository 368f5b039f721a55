"""A hook is in nobody's way: whatever is wrong, the CLI goes on.

An end with 2 would order it to stop what it does.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.doors.notice.events import EVENTS
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.doors.cli.conftest import Run
from tests.doors.cli.hooks import SESSION, hooks, send, text, waiting
from tests.doors.cli.test_app import imported_by
from tests.waiting import until


@pytest.mark.parametrize("tool", EVENTS)
def test_without_a_broker_nothing_is_said_and_none_is_started(
    network: Network, run: Run, tool: str
) -> None:
    for event in EVENTS[tool]:
        done = run("hook", tool, event, agent="bob", stdin=SESSION)

        assert done == (0, "", "")
        assert not network.is_served()


def test_a_broker_that_was_killed_is_no_broker(
    network: Network, broker: BrokerInfo, run: Run
) -> None:
    os.kill(broker.pid, signal.SIGKILL)
    until(lambda: not broker.is_alive(), "it is dead")

    assert run("hook", "claude", "Stop", agent="bob", stdin=SESSION) == (0, "", "")
    assert not network.is_served()


@pytest.mark.parametrize("name", [(), ("--network", "nowhere")])
def test_without_a_network_nothing_is_said(
    home: object, run: Run, name: tuple[str, ...]
) -> None:
    assert run("hook", "codex", "Stop", *name, agent="bob", stdin=SESSION) == (
        0,
        "",
        "",
    )


def test_a_broker_that_does_not_answer_is_not_waited_for(
    frozen: BrokerInfo, run: Run
) -> None:
    line = ("hook", "claude", "Stop", "--patience", "200ms")

    assert run(*line, agent="bob", stdin=SESSION) == (0, "", "")


def test_what_was_shown_waits_for_a_broker_that_answers_to_be_acked(
    broker: BrokerInfo, bob: str, run: Run
) -> None:
    hook = hooks(run)
    send()
    assert "| the build is red" in text(hook("claude", "UserPromptSubmit"))
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        line = ("hook", "claude", "PostToolBatch", "--patience", "200ms")
        assert run(*line, agent=bob, stdin=SESSION) == (0, "", "")
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    assert hook("claude", "Stop").out == ""
    assert waiting() == 0


@pytest.fixture
def frozen(broker: BrokerInfo, run: Run) -> Iterator[BrokerInfo]:
    """A broker that runs and does nothing."""
    assert run("register", "bob").code == 0
    os.kill(broker.pid, signal.SIGSTOP)
    yield broker
    os.kill(broker.pid, signal.SIGCONT)


@pytest.mark.parametrize("stdin", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_junk_on_stdin_is_answered_by_silence(
    broker: BrokerInfo, run: Run, stdin: bytes
) -> None:
    for event in ("UserPromptSubmit", "wait"):
        assert run("hook", "claude", event, agent="bob", stdin=stdin) == (0, "", "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "there is no tool ''"),
        ("claude", "claude has no ''"),
        ("emacs Stop", "there is no tool 'emacs'"),
        ("claude stop", "claude has no 'stop': SessionStart, "),
        ("codex SessionEnd", "codex has no 'SessionEnd'"),
        ("gemini wait", "gemini has no 'wait'"),
        ("claude Stop --nonsense", "--nonsense"),
        ("claude Stop --as", "--as"),
        ("claude Stop --patience soon", "'soon' is not a duration"),
        ("claude Stop again", "again"),
    ],
)
def test_a_line_that_is_wrong_is_told_and_stops_nobody(
    network: Network, run: Run, line: str, reason: str
) -> None:
    done = run("hook", *line.split(), agent="bob", stdin=SESSION)

    assert (done.code, done.out) == (1, "")
    assert reason in done.err
    assert "Traceback" not in done.err


def test_who_does_not_say_who_he_is_is_told_so(network: Network, run: Run) -> None:
    done = run("hook", "claude", "Stop", stdin=SESSION)

    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("ipcbus: hook: who are you?")


@pytest.mark.parametrize("event", ["Stop", "wait", "nonsense"])
def test_hooks_can_be_switched_off_for_a_cli(
    broker: BrokerInfo, bob: str, run: Run, event: str
) -> None:
    """An adapter answers its mail by such a CLI, which must not take it as well."""
    assert run("send", bob, "hi", agent="alice").code == 0
    env = {"IPCBUS_HOOKS": "off", "IPCBUS_WAIT": "1"}

    done = run("hook", "claude", event, agent=bob, stdin=SESSION, env=env)

    assert done == (0, "", "")


@pytest.mark.parametrize("entry", ["sdk-cli", "sdk-py", ""])
def test_a_claude_code_without_a_person_has_no_waiter(
    broker: BrokerInfo, bob: str, run: Run, entry: str
) -> None:
    """It would wait for that one for ever when it is done."""
    env = {"CLAUDE_CODE_ENTRYPOINT": entry}

    done = run("hook", "claude", "wait", agent=bob, stdin=SESSION, env=env)

    assert done == (0, "", "")


def test_of_several_networks_one_must_be_meant(network: Network, run: Run) -> None:
    networks.create("prod")

    done = run("hook", "claude", "Stop", agent="bob", stdin=SESSION)

    assert (done.code, done.out) == (0, "")
    assert "which network?" in done.err


def test_of_several_networks_those_that_are_there_are_looked_at(
    broker: BrokerInfo, prod: BrokerInfo, run: Run
) -> None:
    for network in ("dev", "prod"):
        assert run("register", "bob", "-n", network).code == 0
        assert run("send", "bob", network, "-n", network, agent="alice").code == 0

    line = ("hook", "claude", "Stop", "--patience", "20s", "-n", "later,dev,prod")
    shown = run(*line, agent="bob", stdin=SESSION).json["reason"]

    assert "1 new message for bob in dev." in shown
    assert "1 new message for bob in prod." in shown


def test_of_much_mail_in_several_networks_only_what_is_shown_is_taken(
    broker: BrokerInfo, prod: BrokerInfo, run: Run
) -> None:
    for network in ("dev", "prod"):
        with ipcbus.connect(network, agent="bob"):
            pass
        with ipcbus.connect(network, agent="alice") as alice:
            for number in range(6):
                alice.send("bob", f"{network} {number}\n{'x' * 500}")

    line = ("hook", "claude", "Stop", "--patience", "20s", "-n", "dev,prod")
    shown = run(*line, agent="bob", stdin=SESSION).json["reason"]

    assert len(shown) <= 2000
    found = re.findall(r"^\| (\w+ \d)$", shown, re.MULTILINE)
    assert found == [*(f"dev {number}" for number in range(5)), "prod 0"]
    assert shown.count(" in all: inbox read ") == 6
    with ipcbus.connect("prod", agent="") as operator:
        assert operator.status()["mailboxes"]["bob"]["leased"] == 1


def test_a_folder_that_others_may_write_is_not_used(
    broker: BrokerInfo, network: Network, run: Run
) -> None:
    (network.folder / "notice").mkdir(mode=0o777)
    (network.folder / "notice").chmod(0o777)

    done = run("hook", "claude", "Stop", agent="bob", stdin=SESSION)

    assert (done.code, done.out) == (0, "")
    assert "others may use it" in done.err


def test_without_a_broker_a_hook_loads_neither_sockets_nor_click(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch.start(network)
    launch.stop(network)
    found = imported_by(
        "from ipcbus.doors.cli.quick import understood\n"
        "from ipcbus.doors.notice.given import Given\n"
        "import ipcbus.doors.cli.hooking as hooking\n"
        "hooking._given = lambda: Given('s-1')\n"
        "line = 'hook claude Stop --network dev --as bob'.split()\n"
        "assert understood(line)() == 0\n"
    )

    heavy = {"zmq", "click", "asyncio", "pydantic", "mcp", "subprocess", "msgpack"}
    assert found & {*heavy, "ipcbus.client.sync"} == set()
