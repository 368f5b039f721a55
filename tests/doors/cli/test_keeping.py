"""Backups, and configuration files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.networks import BrokerInfo
from tests.doors.cli.conftest import ROOT, Call, Run, read


def test_a_backup_brings_all_mail_back(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    file = tmp_path / "copy.db"
    call("send", bob, "kept", agent="alice")

    made = call("backup", str(file))

    assert made["file"] == str(file)
    assert made["bytes"] == file.stat().st_size > 0
    assert file.stat().st_mode & 0o777 == 0o600

    call("send", bob, "after the backup", agent="alice")
    call("down")
    refused = run("restore", str(file), "--json")
    assert refused.code == 2
    assert "--replace" in refused.json["error"]["message"]
    assert call("restore", str(file), "--replace")["waiting"] == 1
    assert [m["body"] for m in read(run)] == ["kept"]


def test_a_backup_overwrites_nothing(run: Run, bob: str, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("mine")

    assert run("backup", str(file)).code != 0
    assert file.read_text() == "mine"


def test_a_network_that_is_served_is_not_restored(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    file = tmp_path / "copy.db"
    call("backup", str(file))

    done = run("restore", str(file), "--json")

    assert (done.code, done.json["error"]["code"]) == (12, "already_serving")


def test_what_is_no_backup_is_not_restored(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    call("send", bob, "kept", agent="alice")
    call("down")
    (tmp_path / "x").write_text("no database")

    assert run("restore", str(tmp_path / "x"), "--replace").code == 16
    assert run("restore", str(tmp_path / "missing")).code == 2
    assert [m["body"] for m in read(run)] == ["kept"]


# --- configuration -----------------------------------------------------------------


def test_every_configuration_that_is_shipped_is_good(run: Run) -> None:
    found = (ROOT / "configs").glob("*.yaml")
    files = sorted(str(path) for path in found if path.stem != "prices")

    assert files
    assert run("config", "check", *files).code == 0


def test_a_configuration_is_shown_as_it_is_understood(
    call: Call, tmp_path: Path
) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("networks:\n  dev:\n    port: 9876\n")

    assert call("config", "show", str(file))["networks"]["dev"]["port"] == 9876


def test_a_mistake_is_told_with_its_place(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("networks:\n  dev:\n    prot: 9876\n")

    done = run("config", "check", str(file), "--json")

    assert done.code == 2
    assert "prot" in done.out


def test_the_schema_names_every_key(call: Call, run: Run) -> None:
    assert "networks" in str(call("config", "schema"))
    assert run("config", "schema").code == 0


def test_a_joined_network_is_not_restored(
    run: Run, call: Call, bob: str, tmp_path: Path
) -> None:
    """What is here of it are an invitation and keys; a store would never be read."""
    file = tmp_path / "copy.db"
    call("backup", str(file))
    far = networks.create("far")
    far.save(networks.Saved(remote="tcp://far.example:9876", server_key="ab" * 32))

    for more in ((), ("--replace",)):
        done = run("restore", str(file), "--network", "far", "--json", *more)
        assert (done.code, done.json["error"]["code"]) == (2, "usage")
        assert "served by another machine" in done.json["error"]["message"]
    assert not far.database.exists()


@pytest.mark.parametrize("odd", ["zz", "\ud800"])
def test_a_broker_json_with_an_odd_key_is_told_of_with_a_mend(
    run: Run, broker: BrokerInfo, odd: str
) -> None:
    network = networks.find(broker.network)
    network.write_broker_info(broker._replace(server_key=odd))
    for command in ("status", "agents", "down"):
        done = run(command)
        assert (done.code, done.err.count("\n")) == (4, 1), done
        assert "broker.json does not tell where it is: server_key is not" in done.err
        assert "end its process" in done.err
    network.write_broker_info(broker)
