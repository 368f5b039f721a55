"""All secrets of a machine at work, and that none is anywhere but in its own file.

Two networks, a bridge, an agent that is a program, an MCP server with a token and two
invitations, with every log of every interpreter at its most talkative. Then whatever
can be seen is searched: command lines, environments, output, logs, files, a backup.
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

import ipcbus
from ipcbus import networks
from ipcbus.client import invitations
from ipcbus.networks import BrokerInfo
from ipcbus.transport import launch
from tests.doors.cli.conftest import (
    COMMAND,
    ROOT,
    RUN_S,
    Begin,
    Call,
    Running,
    environment,
)
from tests.security.conftest import (
    forms,
    found_in,
    key_files,
    processes_of,
    secrets_of,
)
from tests.waiting import until

pytestmark = pytest.mark.security

PLATFORM = "sk-of-a-platform-0123456789abcdef"
TALKATIVE = """
import logging, os
there = os.path.join(os.path.dirname(__file__), f"{os.getpid()}.log")
logging.basicConfig(level=logging.DEBUG, filename=there)
"""
TELLS = "import os; print(sorted(os.environ), repr(dict(os.environ)))"
ASKED = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


class Town(NamedTuple):
    """A machine at work.

    Attributes:
        seen: the command line and the environment of each process, by who it is.
        said: all that was printed.
    """

    home: Path
    secrets: dict[str, list[bytes]]
    seen: dict[str, tuple[bytes, bytes]]
    said: list[bytes]
    logs: Path


def config(folder: Path) -> Path:
    path = folder / "bus.yaml"
    program = json.dumps([sys.executable, "-S", "-c", TELLS])
    path.write_text(
        "networks: {dev: {}, prod: {}}\n"
        "bridges: {pair: {between: [dev, prod]}}\n"
        f"agents: {{e: {{network: dev, adapter: command, command: {program}}}}}\n"
    )
    return path


def joined(line: str, there: Path, town: Town) -> None:
    """Use an invitation on another machine, which is looked at while it reads it."""
    args = [*COMMAND, "join-network", "-"]
    env = environment({"IPCBUS_HOME": str(there)})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(args, cwd=ROOT, env=env, **pipes, stderr=-1) as it:  # type: ignore[call-overload]
        look(town, there)
        town.said.extend(it.communicate(line.encode(), timeout=RUN_S))
        look(town, there)
    assert it.returncode == 0, town.said[-2:]
    town.secrets.update(secrets_of(key_files(there)))
    secret = invitations.read(line).secret
    town.secrets[f"invitation {len(town.secrets)}"] = [line.encode(), *forms(secret)]


def look(town: Town, home: Path) -> None:
    for folder in processes_of(home):
        try:
            command = (folder / "cmdline").read_bytes()
            given = (folder / "environ").read_bytes()
        except OSError:
            continue  # it has just ended
        who = command.replace(b"\0", b" ").decode().rpartition("-m ipcbus")[2]
        town.seen[f"{who.strip()} {folder.name}"] = command, given


@pytest.fixture
def town(
    home: Path,
    begin: Begin,
    call: Call,
    everywhere: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Town:
    """A machine at work, in which everything has been done once."""
    (everywhere / "sitecustomize.py").write_text(TALKATIVE)
    monkeypatch.setenv("PYTHONPATH", f"{everywhere}{os.pathsep}{ROOT}")
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setenv("A_PLATFORM_API_KEY", PLATFORM)
    town = Town(home, {"platform": [PLATFORM.encode()]}, {}, [], everywhere)
    up = begin("up", "--config", str(config(tmp_path)))
    working = _until_all_work(up)
    server = begin("mcp", "--http", "0", "--network", "dev", "--as", "model")
    token = home / "networks" / "dev" / "mcp.token"
    until(token.exists, "it has a token")
    _used(call, home, tmp_path, town)
    _visited(server, token.read_text())
    town.secrets["token"] = [token.read_bytes()]
    town.secrets.update(secrets_of(key_files(home)))
    look(town, home)
    for each in (server, up):
        each.process.terminate()
        done = each.end()
        town.said.extend((done.out.encode(), done.err.encode()))
    town.said.append(working)
    return town


def _until_all_work(up: Running) -> bytes:
    """What it says until then."""
    wanted = (b"e serves dev", b"dev -> prod: running", b"prod -> dev: running")
    assert up.process.stderr is not None
    said, fd = b"", up.process.stderr.fileno()
    while not all(each in said for each in wanted):
        assert select.select([fd], [], [], RUN_S)[0], said
        piece = os.read(fd, 65536)
        assert piece, said
        said += piece
    return said


def _used(call: Call, home: Path, folder: Path, town: Town) -> None:
    """Mail, a question to the agent, mail to the other network, invitations, a backup,
    a key that is revoked."""
    dev, prod = ("--network", "dev"), ("--network", "prod")
    done = [
        call("register", "bob", *prod),
        call("send", "bob@prod", "hello", *dev, agent="alice"),
        call("ask", "e", "what do you know?", *dev, agent="alice"),
        call("wait", "--timeout", "10", *prod, agent="bob"),
        call("keys", *dev),
        call("status", *dev),
        call("register", "dave", *dev),
        call("revoke", "dave", *dev),
        call("backup", str(folder / "copy.db"), *dev),
    ]
    town.said.append(json.dumps(done).encode())
    for number, name in enumerate(("carol", "@far")):
        line = call("invite", name, *dev)["invitation"]
        joined(line, folder / f"there-{number}", town)


def _visited(server: Running, token: str) -> None:
    """By one who has the token, and by one who has another."""
    assert server.process.stderr is not None
    said = [server.process.stderr.readline().decode() for _ in range(2)]
    url = said[1].rpartition(" at ")[2].strip()
    for given, answer in ((token, 401), (token[:-1], 401)):
        accepted = {"accept": "application/json, text/event-stream"}
        headers = {**accepted, "authorization": f"Bearer {given}"}
        found = httpx2.post(url, json=ASKED, headers=headers).status_code
        assert (found == answer) == (given != token)


# --- what can be seen --------------------------------------------------------------


def test_no_secret_is_anywhere_but_in_its_own_file(town: Town, tmp_path: Path) -> None:
    kinds = ("server.key", "operator.key", "@prod.key", "@dev.key", "alice.key")
    for kind in (*kinds, "there-0", "there-1", "platform", "invitation", "token"):
        assert any(kind in whose for whose in town.secrets), f"no {kind} was made"
    for whose, (each, *_) in town.secrets.items():
        assert whose[0] != "/" or each in Path(whose).read_bytes()

    _not_in_command_lines(town)
    _not_in_environments(town)
    assert _found(town, *town.said) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    files += [path for path in town.home.rglob("*") if path.is_file()]
    others = [p for p in files if p.suffix != ".key" and p.name != "mcp.token"]
    names = {path.name for path in others}
    assert names >= {"bus.db", "broker.log", "copy.db", "agent-e.log"}, names
    assert len(list(town.logs.glob("*.log"))) > 10, "every interpreter has one"
    hits = {str(p): found for p in others if (found := _found(town, p.read_bytes()))}
    assert hits == {}


def _found(town: Town, *texts: bytes) -> list[str]:
    return [whose for text in texts for whose in found_in(text, town.secrets)]


def _not_in_command_lines(town: Town) -> None:
    for wanted in ("serve dev", "serve prod", "bridge", "agent", "mcp", "join-network"):
        assert any(wanted in who for who in town.seen), f"{wanted}: {[*town.seen]}"
    for who, (command, _) in town.seen.items():
        assert _found(town, command) == [], who


def _not_in_environments(town: Town) -> None:
    """Who started them has one that is for agents, which get it and pass it on to
    nobody; the supervisor and the server were started with it by the test."""
    for who, (_, given) in town.seen.items():
        started_with_it = who.startswith(("up ", "agent ", "mcp ", "join-network"))
        assert _found(town, given) == (["platform"] if started_with_it else []), who


# --- in this process ---------------------------------------------------------------


def test_a_program_with_its_logs_at_debug_writes_none(
    broker: BrokerInfo,
    home: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Also when things go wrong: a key that is refused, a broker that is gone."""
    caplog.set_level(logging.DEBUG)
    with ipcbus.connect("dev", agent="") as operator:
        line = invitations.invite(operator, "carol", 60)
        with ipcbus.connect("dev", agent="bob") as bob:
            operator.call("revoke", "bob")
            texts = [_refusal(lambda: bob.send("bob", "x")), repr(bob), repr(operator)]
    launch.stop(networks.find("dev"))
    monkeypatch.setenv("IPCBUS_HOME", str(tmp_path / "there"))
    texts.append(_refusal(lambda: invitations.join_network(line, timeout=0.5)))
    monkeypatch.setenv("IPCBUS_HOME", str(home))

    secrets = secrets_of(key_files(home))
    secrets["invitation"] = [line.encode(), *forms(invitations.read(line).secret)]
    assert len(secrets) >= 4
    assert found_in("\n".join([caplog.text, *texts]).encode(), secrets) == []


def _refusal(what: Callable[[], object]) -> str:
    with pytest.raises(ipcbus.IpcbusError) as raised:
        what()
    return f"{raised.value!r} {raised.value} {raised.value.facts}"
