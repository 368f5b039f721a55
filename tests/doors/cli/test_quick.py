"""Lines that are read without click, read both ways."""

from __future__ import annotations

import inspect
import random
from typing import Any, NoReturn

import pytest

from ipcbus.client.message import Outgoing
from ipcbus.doors.cli import commands, hooking, quick, reading, sending
from ipcbus.errors import UsageError
from tests.doors.cli.conftest import Run
from tests.doors.cli.test_app import imported_by

TOKENS = (
    *("bob", "hi", "dev", "alice", "60", "90s", "2h", "1.5", "soon", "-1", "a=b", "é"),
    *("-", "--", "", " ", "-x", "-n", "-ndev", "-h", "--help", "--nonsense", "--js"),
    *("--network", "--network=dev", "--as", "--as=", "--json", "--timeout", "--lease"),
    *("--id", "--thread", "--reply-to", "--future", "--peek", "--no-ack", "--wait"),
    *("--max", "--kind", "--label", "--priority", "--ttl"),
)
LINES = 4000


class Asked(Exception):
    """What a command was about to do, and where."""


class Stand:
    """In the place of a client: the first thing asked of it ends the command."""

    def __init__(self, *who: object) -> None:
        self._who = who

    def __enter__(self) -> Stand:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any, **options: Any) -> NoReturn:
            timeout = options.pop("timeout", None)
            said = Outgoing(*args, **options) if name == "send" else (args, options)
            raise Asked(repr((self._who, name, timeout, said)))

        return ask


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_member(network: str | None, agent: str | None, timeout: float = 10) -> Stand:
        return Stand(network, agent, timeout)

    signature = inspect.signature(hooking.hook)

    def hook(*args: Any, **options: Any) -> NoReturn:
        said = signature.bind(*args, **options)
        said.apply_defaults()
        raise Asked(repr(said.arguments))

    monkeypatch.setattr(hooking, "hook", hook)
    for module in (sending, reading):
        monkeypatch.setattr(module, "as_member", as_member)
        monkeypatch.setattr(module, "emit", lambda *args, **options: None)
    monkeypatch.setattr(reading, "monotonic", lambda: 0.0)
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("gc.freeze", lambda: None)  # the tests after this one live on
    monkeypatch.delenv("IPCBUS_NETWORK", raising=False)
    monkeypatch.delenv("IPCBUS_AGENT", raising=False)


def outcome(line: Any) -> str:
    with pytest.raises((Asked, UsageError)) as found:
        line()
    return f"{found.type.__name__}: {found.value}"


def both(args: list[str]) -> bool:
    """Whether it is read here; then click has to read the same."""
    line = quick.understood(args)
    if line is None:
        return False
    assert outcome(line) == outcome(lambda: commands.carry_out(args)), args
    return True


@pytest.mark.parametrize(
    "line",
    [
        "send bob hi",
        "send bob the build is green --network dev --as alice --json",
        "send --json bob hi -n dev --timeout 90s --id a-1 --thread t --reply-to m-1",
        "send bob - --as alice",
        "send bob",
        "send bob hi --as alice --as carol --future",
        "check",
        "check --peek --as bob --json",
        "check --no-ack --lease 2h -n dev",
        "wait --timeout 60 --as bob",
        "wait --no-ack --lease 500ms --json",
        "hook claude Stop --network dev --as alice",
        "hook --json gemini AfterAgent -n dev,prod",
    ],
)
def test_a_plain_line_is_read_here_and_as_click_reads_it(line: str) -> None:
    assert both(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--help",
        "status",
        "sned bob hi",
        "send",
        "send --help",
        "send bob -- --json",
        "send bob hi --priority 9",
        "send bob hi --network=dev",
        "send bob hi --as",
        "send bob hi --id -x",
        "send bob hi --timeout soon",
        "send bob hi --peek",
        "check bob",
        "check --max 3",
        "check --timeout 3",
        "wait --peek",
        "hook claude",
        "hook claude Stop again",
        "hook claude wait --timeout 2h",
    ],
)
def test_any_other_line_is_left_to_click(line: str) -> None:
    assert quick.understood(line.split()) is None


def test_variables_stand_in_for_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for network, agent in (("dev", "alice"), ("dev", ""), ("", "alice")):
        monkeypatch.setenv("IPCBUS_NETWORK", network)
        monkeypatch.setenv("IPCBUS_AGENT", agent)
        for line in ("send bob hi", "check --as bob", "wait -n prod"):
            assert both(line.split())


def test_completing_a_line_is_left_to_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_IPCBUS_COMPLETE", "bash_complete")

    assert quick.understood(["send", "bob", "hi"]) is None


def test_no_line_is_read_otherwise_than_by_click() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    read_here = 0
    for _ in range(LINES):
        name = chance.choice(sorted(quick.WHERE))
        read_here += both([name, *chance.choices(TOKENS, k=chance.randrange(6))])

    assert read_here > LINES / 20


def test_every_option_read_here_is_one_of_the_command() -> None:
    for name, options in quick.OPTIONS.items():
        command = quick.load(commands.COMMANDS[name].module, name)
        known = {one: option.name for option in command.params for one in option.opts}

        for option, (keyword, _) in options.items():
            assert known[option] == keyword
        for flag, keyword in quick.FLAGS[name].items():
            assert known[flag] == keyword


@pytest.mark.parametrize(
    "line",
    [
        ["send", "bob", "hi", "--network", "nowhere", "--as", "alice", "--json"],
        ["check", "--network", "nowhere", "--as", "bob", "--json"],
        ["wait", "--network", "nowhere", "--as", "bob", "--timeout", "1", "--json"],
        ["hook", "claude", "Stop", "--network", "nowhere", "--as", "bob"],
    ],
)
def test_a_plain_line_loads_no_click(line: list[str]) -> None:
    found = imported_by(
        "from ipcbus.doors.cli.quick import understood\n"
        f"assert understood({line!r}) is not None",
        beyond="import zmq",  # which loads `inspect` on Python 3.13
    )

    assert found & {"click", "inspect", "ast", "gettext"} == set()


def test_an_error_of_a_plain_line_is_told_as_any_other(run: Run) -> None:
    plain = run("send", "bob", "hi", "--network", "nowhere", "--as", "alice", "--json")
    other = run("send", "bob", "hi", "--network=nowhere", "--as=alice", "--json")

    assert (plain.code, plain.out, plain.err) == (other.code, other.out, other.err)
    assert plain.json["error"]["code"] == "no_network"
