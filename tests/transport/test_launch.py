"""Starting and stopping brokers, with stand-ins for the broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipcbus.errors import (
    AlreadyServing,
    CannotServe,
    DamagedDatabase,
    NoBroker,
    TimedOut,
)
from ipcbus.networks import BrokerInfo, Network, process
from ipcbus.transport import launch

STANDIN = Path(__file__).parent / "standin.py"


def standin(how: str) -> launch.Command:
    return lambda network: [sys.executable, str(STANDIN), how, network.name]


def test_a_started_broker_is_detached_and_says_where_it_is(network: Network) -> None:
    info = launch.start(network, command=standin("serve"))
    assert info == network.broker_info()
    assert info.is_alive()
    assert os.getsid(info.pid) == info.pid
    assert network.is_served()


def test_what_the_broker_said_is_raised_as_that_error(network: Network) -> None:
    with pytest.raises(DamagedDatabase, match="page 3 is torn"):
        launch.start(network, command=standin("refuse"))


def test_a_broker_that_dies_before_it_is_ready_points_at_its_log(
    network: Network,
) -> None:
    with pytest.raises(CannotServe, match=r"ended before.*broker\.log"):
        launch.start(network, command=standin("die"))


def test_a_broker_that_hangs_before_its_lock_is_killed(network: Network) -> None:
    with pytest.raises(CannotServe):
        launch.start(network, wait_s=0.3, command=standin("mute"))


def test_a_slow_broker_that_holds_the_lock_is_left_to_get_ready(
    network: Network,
) -> None:
    lock = network.lock()
    with pytest.raises(NoBroker, match="still starting") as caught:
        launch.start(network, wait_s=0.2, command=standin("mute"))
    os.close(lock)
    _end_child(int(str(caught.value).split("process ")[1].split()[0]))


def test_a_second_broker_is_told_who_serves(network: Network) -> None:
    info = launch.start(network, command=standin("serve"))
    with pytest.raises(AlreadyServing) as caught:
        launch.start(network, command=standin("serve"))
    assert caught.value.pid == info.pid
    assert caught.value.endpoint == info.endpoint


def test_ensure_gives_who_serves_and_starts_nothing(network: Network) -> None:
    info = launch.start(network, command=standin("serve"))
    assert launch.ensure(network, command=standin("die")) == info


def test_ensure_starts_anew_when_the_broker_was_killed(network: Network) -> None:
    first = launch.ensure(network, command=standin("serve"))
    _kill(first)
    second = launch.ensure(network, command=standin("serve"))
    assert second.pid != first.pid
    assert second.is_alive()


def test_ensure_does_not_believe_a_file_of_a_dead_broker(network: Network) -> None:
    first = launch.start(network, command=standin("serve"))
    _kill(first)
    # The pid is in use again, by us: only the start time tells.
    network.write_broker_info(first._replace(pid=os.getpid()))
    assert launch.ensure(network, command=standin("serve")).pid != os.getpid()


def test_of_many_clients_that_miss_a_broker_at_once_one_starts_it(
    network: Network,
) -> None:
    found: list[BrokerInfo] = []

    def client() -> None:
        found.append(launch.ensure(network, command=standin("serve")))

    clients = [threading.Thread(target=client) for _ in range(6)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_threads_that_start_brokers_may_clear_the_same_ended_one(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended:
        """Another thread looks as well, and is faster."""

        def poll(self) -> int:
            launch._started.clear()
            return 0

    monkeypatch.setattr(launch, "_started", [Ended()])
    info = launch.start(network, command=standin("serve"))
    assert info.is_alive()


def test_ensure_waits_for_one_that_is_starting_but_not_for_ever(
    network: Network,
) -> None:
    lock = network.lock()
    try:
        with pytest.raises(NoBroker, match="not ready within"):
            launch.ensure(network, wait_s=0.2, command=standin("serve"))
    finally:
        os.close(lock)


def test_ensure_waits_for_another_starter_but_not_for_ever(network: Network) -> None:
    with network.starter_lock(), pytest.raises(NoBroker, match="another program"):
        launch.ensure(network, wait_s=0.1, command=standin("serve"))


def test_the_starters_lock_does_not_live_on_in_the_broker(network: Network) -> None:
    with network.starter_lock():
        launch.start(network, command=standin("serve"))
    with network.starter_lock(wait_s=0.0):
        pass


def test_no_descriptor_of_the_starter_lives_on_in_the_broker(network: Network) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # as a shell's `9>file` is
    launch.start(network, command=standin("serve"))
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_zombie_is_not_taken_for_a_broker_and_is_cleared_at_the_next_start(
    network: Network,
) -> None:
    first = launch.start(network, command=standin("serve"))
    os.kill(first.pid, signal.SIGKILL)
    _until(lambda: not network.is_served())
    assert not first.is_alive()
    launch.start(network, command=standin("serve"))
    assert not Path(f"/proc/{first.pid}").exists()


@pytest.mark.security
def test_the_broker_stands_in_the_root_and_imports_from_no_working_folder(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the cwd')")
    monkeypatch.chdir(tmp_path)
    said = _environment(network)
    assert said["cwd"] == "/"
    assert str(tmp_path) not in said["path"]
    assert launch.command(network)[1] == "-P"


def test_a_client_that_finds_a_broker_pays_for_no_heavy_import() -> None:
    program = (
        "import sys, ipcbus.transport.launch\n"
        "heavy = 'asyncio dataclasses subprocess yaml apsw logging zmq ctypes'\n"
        "print(*[name for name in heavy.split() if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == ""


def test_stop_ends_the_broker(network: Network) -> None:
    info = launch.start(network, command=standin("serve"))
    assert launch.stop(network) == info
    assert not info.is_alive()
    assert not network.is_served()
    assert "told to stop" in network.log.read_text()


def test_stop_of_a_broker_that_does_not_listen_times_out_unless_forced(
    network: Network,
) -> None:
    info = launch.start(network, command=standin("deaf"))
    with pytest.raises(TimedOut):
        launch.stop(network, timeout=0.2)
    assert info.is_alive()
    launch.stop(network, timeout=0.2, force=True)
    assert not info.is_alive()
    assert f"SIGKILL to {info.pid}" in network.log.read_text()


def test_stop_ends_a_frozen_broker_when_forced(network: Network) -> None:
    info = launch.start(network, command=standin("serve"))
    os.kill(info.pid, signal.SIGSTOP)
    launch.stop(network, timeout=0.2, force=True)
    assert not network.is_served()


def test_stop_without_a_broker_says_so(network: Network) -> None:
    with pytest.raises(NoBroker, match="none to stop"):
        launch.stop(network)


def test_stop_of_a_broker_that_cannot_be_named_says_so(network: Network) -> None:
    lock = network.lock()
    try:
        with pytest.raises(NoBroker, match="cannot be named"):
            launch.stop(network)
    finally:
        os.close(lock)


@pytest.mark.security
@pytest.mark.parametrize(
    "lie", [{"started": 1}, {"boot_id": "another"}, {"pid": 1}, {"pid": 2**22 + 1}]
)
def test_stop_hits_no_process_but_the_broker(
    network: Network, lie: dict[str, int | str]
) -> None:
    info = launch.start(network, command=standin("serve"))
    network.write_broker_info(info._replace(**lie))  # type: ignore[arg-type]
    with pytest.raises(NoBroker):
        launch.stop(network, force=True, timeout=0.1)
    assert info.is_alive()
    network.write_broker_info(info)


@pytest.mark.security
def test_stop_hits_no_process_of_another_user(
    network: Network, missing_part: Callable[[str], None]
) -> None:
    if os.geteuid() != 0:
        missing_part("root, to start a process as another user")
    with subprocess.Popen(["/bin/sleep", "60"], user=12345) as other:
        launch.start(network, command=standin("serve"))
        info = network.broker_info()
        assert info is not None
        ticks = _started(other.pid)
        network.write_broker_info(info._replace(pid=other.pid, started=ticks))
        with pytest.raises(NoBroker):
            launch.stop(network, force=True, timeout=0.1)
        assert other.poll() is None
        other.kill()
    network.write_broker_info(info)


def test_the_log_is_for_its_owner_alone_and_begun_anew_when_long(
    network: Network,
) -> None:
    network.log.write_bytes(b"x" * (launch.MAX_LOG + 1))
    launch.start(network, command=standin("serve"))
    assert network.log.stat().st_size < launch.MAX_LOG
    assert network.log.stat().st_mode & 0o077 == 0
    assert network.log.with_suffix(".log.1").exists()


def test_what_is_said_is_what_was_meant(network: Network) -> None:
    error = AlreadyServing(network="dev", pid=7, endpoint="tcp://127.0.0.1:1")
    with pytest.raises(AlreadyServing, match="pid 7"):
        launch.said(network, launch.ready_line(error))


@pytest.mark.parametrize("line", [b"", b"\n", b"[]", b"{}", b'{"error": 1}', b"\xff"])
def test_a_line_that_means_nothing_is_an_error_of_ours(
    network: Network, line: bytes
) -> None:
    with pytest.raises(CannotServe):
        launch.said(network, line)


def _started(pid: int) -> int:
    ticks = process.started(pid)
    assert ticks is not None
    return ticks


def _environment(network: Network) -> dict[str, Any]:
    with pytest.raises(CannotServe) as caught:
        launch.start(network, command=standin("env"))
    said: dict[str, Any] = json.loads(caught.value.reason)
    return said


def _kill(info: BrokerInfo) -> None:
    os.kill(info.pid, signal.SIGKILL)
    os.waitpid(info.pid, 0)


def _end_child(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        os.sched_yield()
