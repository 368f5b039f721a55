"""The doctor finds what is wrong, says how to mend it, and touches nothing."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipcbus import doctor, networks
from ipcbus.doctor import Row, machine
from ipcbus.networks import BrokerInfo, Network, Saved
from ipcbus.transport import keys, launch
from tests.waiting import until


def finding(network: Network, name: str) -> Row:
    [row] = [
        row
        for row in doctor.examine_network(network)
        if row.name == f"{network.name}: {name}"
    ]
    return row


def about_the_machine(name: str) -> Row:
    [row] = [row for row in doctor.examine() if row.name == name]
    return row


def test_a_new_network_is_well(network: Network) -> None:
    rows = doctor.examine(network)
    assert [row for row in rows if row.status == "bad"] == []
    assert [row for row in doctor.examine_network(network) if row.status != "ok"] == []


def test_a_served_network_is_well(network: Network, broker: BrokerInfo) -> None:
    assert [row for row in doctor.examine_network(network) if row.status != "ok"] == []
    assert broker.endpoint in finding(network, "broker").finding
    assert "answers" in finding(network, "port").finding
    assert "looks after it" in finding(network, "database").finding


def test_a_network_that_was_stopped_is_well_to_its_last_page(
    network: Network, broker: BrokerInfo
) -> None:
    launch.stop(network)
    assert [row for row in doctor.examine_network(network) if row.status != "ok"] == []
    assert "every page is whole" in finding(network, "database").finding
    assert not network.is_served()


def test_all_networks_are_looked_at_unless_one_is_named(home: Path) -> None:
    networks.create("dev")
    prod = networks.create("prod")
    assert {"dev: keys", "prod: keys"} <= {row.name for row in doctor.examine()}
    assert "dev: keys" not in {row.name for row in doctor.examine(prod)}


def test_it_changes_nothing(network: Network, broker: BrokerInfo) -> None:
    _kill(broker)
    before = _state(network)
    doctor.examine(network)
    assert _state(network) == before


def test_every_finding_that_is_not_well_says_how_to_mend_it(network: Network) -> None:
    network.folder.chmod(0o755)
    network.operator_key.write_text("garbage")
    network.database.write_bytes(b"garbage" * 1000)
    (network.folder / "network.json").write_text("garbage")
    rows = [row for row in doctor.examine_network(network) if row.status != "ok"]
    assert len(rows) >= 4
    for row in rows:
        assert row.mend, row
        assert row.finding, row
    for row in doctor.examine():
        assert (row.status == "ok") == (row.mend == "") or ":" in row.name, row


@pytest.mark.security
@pytest.mark.parametrize("what", ["", "keys", "log", "operator.key", "network.json"])
def test_what_others_may_use_is_found(network: Network, what: str) -> None:
    keys.create(network.operator_key)
    path = network.folder / what
    path.chmod(path.stat().st_mode | 0o044)
    row = finding(network, "folder")
    assert row.status == "bad"
    assert row.mend == f"chmod {700 if path.is_dir() else 600} {path}"


@pytest.mark.security
def test_what_belongs_to_another_user_is_found(
    network: Network, missing_part: Callable[[str], None]
) -> None:
    if os.geteuid() != 0:
        missing_part("root, to give a file to another user")
    os.chown(network.folder / "network.json", 12345, -1)
    assert "user id 12345" in finding(network, "folder").finding


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"port": "x"}', "port must be of type int"),
        ('{"settings": {"rate": -1}}', "settings.rate"),
        ('{"settings": {"speed": 1}}', "there is no such setting"),
        ('{"plain": true, "host": "0.0.0.0"}', "plain"),
    ],
)
def test_settings_that_no_broker_could_use_are_found(
    network: Network, content: str, says: str
) -> None:
    (network.folder / "network.json").write_text(content)
    row = finding(network, "settings")
    assert row.status == "bad"
    assert says in row.finding


@pytest.mark.chaos
def test_a_broker_that_was_killed_is_found(
    network: Network, broker: BrokerInfo
) -> None:
    _kill(broker)
    row = finding(network, "broker")
    assert (row.status, str(broker.pid) in row.finding) == ("warn", True)
    assert finding(network, "database").status == "ok"


def test_a_broker_that_is_starting_is_told_from_one_that_serves(
    network: Network,
) -> None:
    held = network.lock()
    row = finding(network, "broker")
    os.close(held)
    assert row.status == "warn"
    assert "starting or ending" in row.finding


def test_a_broker_that_is_not_seen_from_here_is_found(network: Network) -> None:
    held = network.lock()
    info = networks.this_broker("dev", "tcp://127.0.0.1:1", "", 1, plain=True)
    network.write_broker_info(info._replace(boot_id="another"))
    row = finding(network, "broker")
    os.close(held)
    assert row.status == "warn"
    assert "container" in row.mend


def test_a_port_that_does_not_answer_is_found(network: Network) -> None:
    held = network.lock()
    with socket.socket() as closed:  # bound and not listening: refuses
        closed.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        info = networks.this_broker("dev", endpoint, "", 1, plain=True)
        network.write_broker_info(info)
        row = finding(network, "port")
    os.close(held)
    assert row.status == "bad"
    assert "does not answer" in row.finding


def test_a_port_that_another_program_has_is_found(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        network.save(Saved(port=port))
        row = finding(network, "port")
    assert row.status == "bad"
    assert f"127.0.0.1:{port} is in use by another program" in row.finding
    assert f":{port}'" in row.mend


def test_an_address_of_another_machine_is_found(network: Network) -> None:
    network.save(Saved(host="192.0.2.1", port=9876))  # TEST-NET-1 (RFC 5737)
    assert "cannot be had" in finding(network, "port").finding


def test_a_joined_network_is_asked_for_where_it_is(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as far:
        remote = f"tcp://127.0.0.1:{far.getsockname()[1]}"
        network.save(Saved(remote=remote, server_key="ab" * 32))
        assert finding(network, "port").status == "ok"
        assert finding(network, "keys").status == "ok"
        assert remote in finding(network, "settings").finding


def test_a_key_that_is_none_is_found(network: Network) -> None:
    path = network.key_path("alice")
    path.write_text('{"public": "x"}')
    path.chmod(0o600)
    row = finding(network, "keys")
    assert row.status == "bad"
    assert "alice.key" in row.finding


def test_a_missing_server_key_is_no_matter_until_there_is_a_database(
    network: Network,
) -> None:
    assert finding(network, "keys").status == "ok"
    network.database.touch(0o600)
    row = finding(network, "keys")
    assert row.status == "bad"
    assert "server.key" in row.finding
    assert "backup" in row.mend


def test_a_damaged_database_is_found_and_left_as_it_is(network: Network) -> None:
    garbage = b"this was a database once" * 1000
    network.database.write_bytes(garbage)
    network.database.chmod(0o600)
    row = finding(network, "database")
    assert row.status == "bad"
    assert "damaged" in row.finding
    assert network.database.read_bytes() == garbage


def test_a_clock_that_was_set_back_is_found(network: Network) -> None:
    later = time.time() + 3600
    os.utime(network.folder / "network.json", (later, later))
    row = finding(network, "clock")
    assert row.status == "warn"
    assert "set back" in row.finding


def test_what_a_killed_writer_left_is_found(network: Network) -> None:
    left = network.folder / ".broker.json.123.0123abcd"
    left.touch(0o600)
    assert finding(network, "leftovers").status == "ok", "it may be at it right now"
    os.utime(left, (1, 1))
    row = finding(network, "leftovers")
    assert row.status == "warn"
    assert str(left) in row.mend


def test_a_folder_of_networks_that_is_not_ours_is_one_finding(home: Path) -> None:
    (home / "networks").mkdir(mode=0o700)
    (home / "networks").chmod(0o777)
    row = about_the_machine("networks")
    assert row.status == "bad"
    assert "chmod 700" in row.mend


# --- the machine -------------------------------------------------------------------


@pytest.mark.usefixtures("home")
def test_the_machine_that_runs_the_tests_can_run_brokers() -> None:
    assert [row for row in doctor.examine() if row.status == "bad"] == []
    assert "CURVE" in about_the_machine("encryption").finding


def test_a_home_that_cannot_be_made_is_found() -> None:
    row = about_the_machine("home")
    assert row.status == "bad"
    assert "IPCBUS_HOME" in row.mend


def test_a_relative_home_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCBUS_HOME", "here")
    assert "absolute" in about_the_machine("home").finding


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("name", "package", "number"),
    [
        ("sqlite", "apsw", "3.51.2.0"),
        ("sqlite", "apsw", ""),
        ("msgpack", "msgpack", "1.2.1"),
        ("msgpack", "msgpack", ""),
    ],
)
def test_a_library_that_is_missing_or_has_known_holes_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, number: str
) -> None:
    real = machine._installed
    monkeypatch.setattr(
        machine, "_installed", lambda of: number if of == package else real(of)
    )
    row = about_the_machine(name)
    assert row.status == "bad"
    assert "pip install" in row.mend


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("found", [("4.3.5", False), ("4.3.2", True)])
def test_a_libzmq_that_cannot_encrypt_or_has_holes_is_found(
    monkeypatch: pytest.MonkeyPatch, found: tuple[str, bool]
) -> None:
    monkeypatch.setattr(keys, "libzmq", lambda: found)
    assert about_the_machine("encryption").status == "bad"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("hard", "status"),
    [(-1, "ok"), (65_536, "ok"), (4_096, "warn"), (256, "bad")],
)
def test_too_few_descriptors_are_found(
    monkeypatch: pytest.MonkeyPatch, hard: int, status: str
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda what: (hard, hard))
    assert about_the_machine("descriptors").status == status


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("free", "inodes", "status"),
    [(10**12, 9, "ok"), (5 * 10**8, 9, "warn"), (10**6, 9, "bad"), (10**12, 0, "bad")],
)
def test_a_disk_that_is_filling_is_found(
    monkeypatch: pytest.MonkeyPatch, free: int, inodes: int, status: str
) -> None:
    real = os.statvfs("/tmp")
    fields = {"f_bavail": free, "f_frsize": 1, "f_files": 10, "f_favail": inodes}
    monkeypatch.setattr("os.statvfs", lambda path: _Changed(real, fields))
    assert about_the_machine("disk").status == status


@pytest.mark.usefixtures("home")
def test_a_clock_that_was_never_set_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    row = about_the_machine("clock")
    assert row.status == "bad"
    assert "timedatectl" in row.mend


class _Changed:
    """What `os.statvfs` gives, with some fields as a test wants them."""

    def __init__(self, real: object, fields: dict[str, int]) -> None:
        self._real, self._fields = real, fields

    def __getattr__(self, name: str) -> Any:
        return self._fields.get(name, getattr(self._real, name))


def _state(network: Network) -> dict[str, tuple[int, bytes]]:
    paths = sorted(path for path in network.folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def _kill(broker: BrokerInfo) -> None:
    os.kill(broker.pid, signal.SIGKILL)
    until(lambda: not broker.is_alive(), "it is dead")
