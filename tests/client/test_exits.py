"""However a process ends, it ends at once: real processes, each by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.waiting import until

MOST_S = 2.0
"""From the reason to end until the end, on a quiet machine."""

SLACK_S = 2.0
"""What a loaded machine may add."""

BEGIN = """
import sys, time, threading
import ipcbus
bus = ipcbus.connect("dev", agent="alice")
def ready():
    print("ready", flush=True)
"""

ENDINGS = {
    "falls off the end": "ready()",
    "falls off the end with sends under way": """
for n in range(1000):
    bus.submit("alice", "x")
ready()
""",
    "sys.exit": "ready(); sys.exit(0)",
    "an exception": "ready(); raise ValueError('as it should')",
    "an exception inside with": """
with bus:
    bus.send("alice", "x")
    bus.receive(timeout=5)
    ready()
    raise ValueError("as it should")
""",
    "garbage": "ready(); del bus; import gc; gc.collect()",
    "many clients": """
more = [ipcbus.connect("dev", agent="alice") for _ in range(10)]
ready()
""",
    "close": "ready(); bus.close()",
    "a forked child": """
import os
if os.fork() == 0:
    sys.exit(0)
os.wait()
ready()
""",
}

WAITS = {
    "receive": "bus.receive()",
    "iteration": "next(iter(bus))",
    "ask": "bus.ask('alice', 'x')",
    "fetch": "bus.fetch(timeout=60)",
    "a call": "[bus.agents() for _ in iter(int, 1)]",
    "send": "[bus.send('alice', 'x') for _ in iter(int, 1)]",
    "submit": "[bus.submit('alice', 'x') for _ in iter(int, 1)]",
    "a pending": "bus.submit('alice', 'x' * 999); ipcbus.Pending().result()",
}


def start(code: str) -> subprocess.Popen[str]:
    """A process that has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if line != "ready\n":
        pytest.fail(f"it did not become ready: {process.communicate()}")
    return process


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and stderr; it must end in time."""
    begun = time.monotonic()
    try:
        _, stderr = process.communicate(timeout=MOST_S + SLACK_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail(f"still there after {time.monotonic() - begun:.1f} s")
    return process.returncode, stderr


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_ends(broker: BrokerInfo, ending: str) -> None:
    code, stderr = ends(start(ENDINGS[ending]))
    assert code == (1 if "exception" in ending else 0), stderr
    assert ("Traceback" in stderr) == ("exception" in ending), stderr


@pytest.mark.parametrize("waiting", WAITS)
def test_ctrl_c_ends_any_wait(broker: BrokerInfo, waiting: str) -> None:
    process = start(f"ready()\n{WAITS[waiting]}")
    wait_until_asleep(process)
    process.send_signal(signal.SIGINT)
    code, stderr = ends(process)
    assert code == -signal.SIGINT, stderr
    assert "KeyboardInterrupt" in stderr


@pytest.mark.parametrize("ending", ["ready()", WAITS["receive"], WAITS["send"]])
def test_it_ends_when_the_broker_does_not_answer(
    broker: BrokerInfo, ending: str
) -> None:
    process = start(f"bus.submit('alice', 'x').result()\nready()\ninput_ = {ending}")
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        if "ready" not in ending:
            process.send_signal(signal.SIGINT)
        ends(process)
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_it_ends_when_nobody_serves(network: Network) -> None:
    launch.start(network)
    process = start(
        "bus.close(); bus = ipcbus.connect('dev', agent='alice', "
        "start=False)\nready()\nbus.receive()"
    )
    launch.stop(network)
    process.send_signal(signal.SIGINT)
    ends(process)


def test_what_was_submitted_is_stored_when_the_process_ends(
    broker: BrokerInfo,
) -> None:
    process = start("for n in range(1000): bus.submit('alice', 'x')\nready()")
    assert ends(process)[0] == 0
    process = start("ready()\nprint(bus.fetch()[1], file=sys.stderr)")
    assert ends(process) == (0, "999\n")


def wait_until_asleep(process: subprocess.Popen[str]) -> None:
    """Until its threads have run for a while."""
    stat = Path(f"/proc/{process.pid}/stat")

    def asleep() -> bool:
        fields = stat.read_text().rpartition(")")[2].split()
        return fields[0] == "S" or int(fields[11]) + int(fields[12]) > 20

    until(asleep)
