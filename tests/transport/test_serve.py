"""Broker processes: started, stopped, killed, two at once, and on bad ground."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.errors import (
    CannotServe,
    DamagedDatabase,
    NoNetwork,
    PortInUse,
    StaleFile,
    UsageError,
)
from ipcbus.networks import BrokerInfo, Network
from ipcbus.protocol.messages import Accepted, Pong
from ipcbus.transport import launch, serve
from tests.transport.members import members, take
from tests.transport.peers import Peer, send
from tests.waiting import until

LOOPBACK_2 = "127.0.0.2"


def ended(info: BrokerInfo) -> bool:
    """Whether it has ended and was waited for."""
    mine = [child for child in launch._started if child.pid == info.pid]
    return all(child.poll() is not None for child in mine)


def log(network: Network) -> str:
    return network.log.read_text()


# --- starting ------------------------------------------------------------------


def test_a_ready_broker_can_be_connected_to_and_says_who_it_is(
    network: Network, broker: BrokerInfo
) -> None:
    assert broker == network.broker_info()
    assert broker.network == "dev"
    assert broker.epoch == 1
    with members(network, broker) as people:
        people.operator.ping()
        assert people.operator.wait_for(Pong).epoch == 1


def test_it_is_ready_soon(network: Network) -> None:
    """100 to 150 ms on two cores; the bound leaves room for a busy machine."""
    launch.start(network)
    launch.stop(network)
    times = []
    for _ in range(3):
        began = time.monotonic()
        launch.start(network)
        times.append(time.monotonic() - began)
        launch.stop(network)
    assert min(times) < 1.0, times


def test_a_message_goes_from_one_agent_to_another(
    network: Network, broker: BrokerInfo
) -> None:
    with members(network, broker) as people:
        alice, bob = people.agent("alice"), people.agent("bob")
        alice.say(send(1, "bob", b"hello"))
        assert alice.wait_for(Accepted).exceptions == []
        delivery = take(bob)
        assert delivery.bodies == [b"hello"]
        assert delivery.headers[0].sender == "alice"


def test_stdout_holds_one_line_and_is_closed_then(network: Network) -> None:
    child = launch.spawn(network, detached=True)
    assert child.stdout is not None
    try:
        with child.stdout as stdout:
            said = stdout.read()  # up to the end: it does not keep the pipe open
        assert said.count(b"\n") == 1
        assert json.loads(said)["network"] == "dev"
    finally:
        child.terminate()
        child.wait(10)


def test_its_files_are_private_whatever_the_umask(network: Network) -> None:
    before = os.umask(0)
    try:
        launch.start(network)
    finally:
        os.umask(before)
    open_ones = [
        str(path)
        for path in network.folder.rglob("*")
        if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    assert open_ones == []


def test_secrets_are_not_in_argv_environment_or_log(
    network: Network, broker: BrokerInfo
) -> None:
    files = (network.server_key, network.operator_key)
    secrets = [json.loads(path.read_text())["secret"] for path in files]
    process = Path(f"/proc/{broker.pid}")
    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    for secret in secrets:
        assert secret not in log(network)
        assert secret.encode() not in seen


def test_port_0_becomes_the_ports_number_for_good(
    network: Network, broker: BrokerInfo
) -> None:
    port = int(broker.endpoint.rpartition(":")[2])
    assert network.saved().port == port
    launch.stop(network)
    assert launch.start(network).endpoint == broker.endpoint


def test_it_listens_where_it_was_told_to(network: Network) -> None:
    network.save(network.saved()._replace(host=LOOPBACK_2))
    info = launch.start(network)
    assert info.endpoint.startswith(f"tcp://{LOOPBACK_2}:")
    with members(network, info):
        pass


def test_settings_of_the_network_reach_the_broker(network: Network) -> None:
    network.save(network.saved()._replace(settings={"max_body": 10}))
    with members(network, launch.start(network)) as people:
        alice = people.agent("alice")
        alice.say(send(1, "alice", b"more than ten bytes"))
        assert alice.wait_for(Accepted).exceptions[0][1] == "bound_exceeded"


def test_a_plain_network_serves_on_loopback(network: Network) -> None:
    network.save(network.saved()._replace(plain=True))
    info = launch.start(network)
    assert (info.plain, info.server_key) == (True, "")
    assert not network.server_key.exists()
    with members(network, info) as people:
        people.agent("alice")


# --- on bad ground -------------------------------------------------------------


@pytest.mark.security
def test_a_plain_network_is_not_served_beyond_loopback(network: Network) -> None:
    """Also if somebody edited the file by hand."""
    path = network.folder / "network.json"
    saved = {**json.loads(path.read_text()), "plain": True, "host": "0.0.0.0"}
    path.write_text(json.dumps(saved))
    with pytest.raises(StaleFile, match="plain"):
        launch.start(network)


def test_a_port_that_another_program_has_is_named(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        network.save(network.saved()._replace(port=port))
        with pytest.raises(PortInUse, match=str(port)):
            launch.start(network)
    assert not network.is_served()


def test_a_host_that_is_not_ours_is_named(network: Network) -> None:
    network.save(network.saved()._replace(host="192.0.2.1"))
    with pytest.raises(CannotServe, match=r"192\.0\.2\.1"):
        launch.start(network)


def test_a_network_that_is_not_there(network: Network) -> None:
    gone = Network("nowhere", network.folder.parent / "nowhere")
    (gone.folder / "log").mkdir(parents=True, mode=0o700)
    child = launch.spawn(gone, detached=True)
    gone.log.unlink()
    (gone.folder / "log").rmdir()
    gone.folder.rmdir()
    assert child.stdout is not None
    with child.stdout as stdout, pytest.raises(NoNetwork):
        launch.said(gone, stdout.read())
    assert child.wait(10) == NoNetwork.exit_code


def test_a_damaged_database_is_left_alone(network: Network) -> None:
    launch.start(network)
    launch.stop(network)
    network.database.write_bytes(b"this is no database" * 1000)
    with pytest.raises(DamagedDatabase):
        launch.start(network)
    assert network.database.read_bytes() == b"this is no database" * 1000
    assert not network.is_served()


def test_an_unknown_setting_is_named(network: Network) -> None:
    network.save(network.saved()._replace(settings={"max_bodi": 10}))
    with pytest.raises(StaleFile, match="max_bodi"):
        launch.start(network)


def test_a_network_of_another_machine_is_not_served_here(network: Network) -> None:
    joined = network.saved()._replace(remote="tcp://192.0.2.1:1", server_key="ab" * 32)
    network.save(joined)
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        launch.start(network)


def test_without_a_name_it_says_how_it_is_used() -> None:
    command = [sys.executable, "-m", "ipcbus.transport.serve"]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == UsageError.exit_code
    assert json.loads(done.stdout)["error"]["code"] == "usage"


# --- in this process -----------------------------------------------------------


@pytest.fixture
def no_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (2, 15)}
    yield
    assert {number: signal.getsignal(number) for number in (2, 15)} == before


def test_it_can_run_in_the_foreground_and_leaves_nothing(
    network: Network, no_signals: None
) -> None:
    """In the main thread, ended by the signal that Ctrl-C sends."""
    infos: list[BrokerInfo] = []
    umask = os.umask(0o022)
    helper = threading.Thread(target=_interrupt_when(lambda: bool(infos)))
    helper.start()
    try:
        assert serve.run(network, ready=infos.append) == 0
    finally:
        helper.join()
        os.umask(umask)
    assert infos[0].pid == os.getpid()
    assert not network.is_served()


def _interrupt_when(condition: Callable[[], bool]) -> Callable[[], None]:
    def wait() -> None:
        until(condition, "it is ready")
        os.kill(os.getpid(), signal.SIGINT)

    return wait


def test_a_second_signal_ends_it_at_once(network: Network) -> None:
    """A core that hangs cannot be ended by the first one."""
    program = (
        "import sys, time\n"
        "from ipcbus.broker import state\n"
        "def hang(self, events, now):\n"
        "    while True: time.sleep(0.01)\n"
        "state.Broker.handle = hang\n"
        "from ipcbus.transport import serve\n"
        "sys.exit(serve.main(['dev']))\n"
    )
    info = launch.start(
        network, command=lambda network: [sys.executable, "-c", program]
    )
    peer = Peer(info.endpoint, info.server_key)
    try:
        os.kill(info.pid, signal.SIGTERM)
        until(lambda: _catches(info.pid) == set(), "the first one has arrived")
        assert info.is_alive()
        os.kill(info.pid, signal.SIGTERM)
        until(lambda: ended(info), "it has ended")
    finally:
        peer.close()


def _catches(pid: int) -> set[int]:
    """Which of SIGTERM and SIGINT a process has handlers for."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return {n for n in (signal.SIGTERM, signal.SIGINT) if caught >> (n - 1) & 1}


def test_networks_of_one_home_do_not_see_each_other(network: Network) -> None:
    other = networks.create("prod")
    first, second = launch.start(network), launch.start(other)
    assert first.server_key != second.server_key
    with members(network, first), members(other, second):
        pass
