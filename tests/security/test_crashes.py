"""What is left of a program that breaks while keys are in its hands: a traceback and an
exit code, and neither a key nor a core file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.client import invitations
from ipcbus.networks import BrokerInfo, Network
from tests.doors.cli.conftest import COMMAND, ROOT, Begin, Call, Run, environment
from tests.security.conftest import forms, found_in, key_files, secrets_of
from tests.waiting import until

pytestmark = pytest.mark.security

BREAKS = """
import zmq

def broken(socket, *where):
    raise RuntimeError(f"the test broke it: {socket!r} {where!r}")

if "ipcbus" in " ".join(__import__("sys").orig_argv):
    zmq.Socket.WHAT = broken
"""


def breaks(what: str) -> str:
    return BREAKS.replace("WHAT", what)


SERVE = (sys.executable, "-m", "ipcbus.transport.serve", "dev")
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


# --- tracebacks ------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        *("send bob hi", "check --json", "keys", "invite carol --json"),
        *("register dave", "revoke bob --json"),
    ],
)
def test_a_command_that_breaks_with_keys_in_hand_shows_none(
    command: str, run: Run, call: Call, broker: BrokerInfo, everywhere: Path
) -> None:
    """The socket that was to connect had been given the keys."""
    call("register", "bob")
    home = Path(os.environ["IPCBUS_HOME"])
    (everywhere / "sitecustomize.py").write_text(breaks("connect"))

    done = run(*command.split(), agent="bob", env={"PYTHONPATH": str(everywhere)})

    assert done.code not in (0, 2), done
    assert "the test broke it" in done.out + done.err
    assert found_in((done.out + done.err).encode(), secrets_of(key_files(home))) == []


@pytest.mark.parametrize("command", ["bridge dev prod", "mcp --http 0 --network dev"])
def test_one_that_goes_on_and_breaks_shows_none_either(
    command: str, call: Call, broker: BrokerInfo, everywhere: Path, tmp_path: Path
) -> None:
    """It tells of it each time that it tries."""
    networks.create("prod")
    call("register", "bob", "--network", "dev")
    (everywhere / "sitecustomize.py").write_text(breaks("connect"))
    more = {"PYTHONPATH": str(everywhere), "IPCBUS_AGENT": "bob"}
    said = tmp_path / "said"
    with said.open("wb") as out:
        args = [*COMMAND, *command.split()]
        env = environment(more)
        broken = subprocess.Popen(args, cwd=ROOT, env=env, stdout=out, stderr=out)
    with broken:
        until(lambda: b"the test broke it" in said.read_bytes(), "it breaks")
        broken.kill()

    home = Path(os.environ["IPCBUS_HOME"])
    assert found_in(said.read_bytes(), secrets_of(key_files(home))) == []


def test_joining_that_breaks_repeats_no_invitation(
    run: Run, call: Call, broker: BrokerInfo, everywhere: Path, tmp_path: Path
) -> None:
    line = call("invite", "carol")["invitation"]
    (everywhere / "sitecustomize.py").write_text(breaks("connect"))
    there = {"IPCBUS_HOME": str(tmp_path / "there"), "PYTHONPATH": str(everywhere)}

    done = run("join-network", "-", stdin=line.encode(), env=there)

    assert (done.code, "the test broke it" in done.err) == (1, True)
    secrets = secrets_of(key_files(tmp_path / "there"))
    secrets |= {"invitation": [line.encode(), *forms(invitations.read(line).secret)]}
    assert found_in((done.out + done.err).encode(), secrets) == []


def test_a_broker_that_breaks_as_it_starts_shows_no_key(
    network: Network, everywhere: Path
) -> None:
    (everywhere / "sitecustomize.py").write_text(breaks("bind"))
    env = {**os.environ, "PYTHONPATH": str(everywhere)}

    done = subprocess.run(SERVE, cwd=ROOT, env=env, capture_output=True, timeout=30)

    assert done.returncode != 0
    assert b"the test broke it" in done.stderr
    secrets = secrets_of(key_files(network.folder.parent.parent))
    assert secrets, "it had made its keys by then"
    assert found_in(done.stdout + done.stderr, secrets) == []


# --- core files ------------------------------------------------------------------


def dumped(process: subprocess.Popen[bytes]) -> bool:
    """Whether a core was written when it was ended by a signal that asks for one."""
    process.send_signal(signal.SIGSEGV)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    return os.WCOREDUMP(status)


def cores_allowed() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, UNLIMITED)


@pytest.fixture
def _cores() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != resource.RLIM_INFINITY:
        pytest.skip("core files are forbidden here, so nobody can write one")


@pytest.mark.usefixtures("_cores")
def test_a_broker_that_crashes_writes_no_core_file(
    network: Network, tmp_path: Path
) -> None:
    """Though whoever started it lets programs write one, as the other program does."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    how = {"cwd": tmp_path, "env": env, "stdout": subprocess.PIPE}
    broker = subprocess.Popen(SERVE, preexec_fn=cores_allowed, **how)  # type: ignore[call-overload]
    with broker:
        assert b'"endpoint"' in broker.stdout.readline()
        assert core_limit(broker.pid) == "1", (
            "0 would not stop a service for core files"
        )
        assert not dumped(broker)
    assert list(tmp_path.iterdir()) == []


def test_one_that_a_client_starts_may_not_either(broker: BrokerInfo) -> None:
    assert core_limit(broker.pid) in ("0", "1")


@pytest.fixture
def _unlimited(_cores: None) -> Iterator[None]:
    """As the shell of a person who looks for the bugs of their own programs."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, UNLIMITED)
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


KEY_HOLDERS = [
    ("agent", "--adapter", "echo", "--as", "e", "--network", "dev"),
    ("bridge", "dev", "prod"),
    ("mcp", "--http", "0", "--as", "m", "--network", "dev"),
    ("wait", "--as", "w", "--network", "dev"),
]


@pytest.mark.usefixtures("_unlimited", "broker", "prod")
@pytest.mark.parametrize("line", KEY_HOLDERS, ids=lambda line: line[0])
def test_no_program_that_holds_a_key_may_write_one(
    line: tuple[str, ...], begin: Begin
) -> None:
    running = begin(*line)
    until(lambda: core_limit(running.process.pid) == "1", "it has said so")
    assert not dumped(running.process)


@pytest.mark.usefixtures("_unlimited", "broker")
def test_a_program_that_is_run_for_a_person_may_write_its_own(
    run: Run, bob: str
) -> None:
    done = run("run", "--to", bob, "--", "sh", "-c", "ulimit -c", agent="alice")
    assert done.out.split() == ["unlimited"], done


@pytest.mark.usefixtures("_unlimited", "broker")
def test_a_program_that_answers_for_an_agent_may_write_its_own(
    call: Call, begin: Begin, bob: str
) -> None:
    who = ("--as", bob, "--network", "dev", "--adapter", "command")
    begin("agent", *who, "--", "sh", "-c", "ulimit -c")
    assert call("ask", bob, "which?", agent="alice")["body"] == "unlimited"


@pytest.mark.usefixtures("_unlimited", "broker")
def test_an_application_that_uses_the_library_may_write_its_own() -> None:
    with ipcbus.connect("dev", agent="alice") as alice:
        alice.send("alice", "hi")
        assert core_limit(os.getpid()) == "unlimited"


def core_limit(pid: int) -> str:
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (core,) = [line.split() for line in limits if line.startswith("Max core file")]
    return core[4]
