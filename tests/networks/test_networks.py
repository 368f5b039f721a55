"""Where networks live on a machine, and how one is found."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipcbus import networks
from ipcbus.errors import (
    InvalidAddress,
    NoNetwork,
    StaleFile,
    UnsafeFolder,
    UsageError,
)
from ipcbus.networks import Network, Saved

KEY = "ab" * 32


def test_the_home_is_what_ipcbus_home_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IPCBUS_HOME", "/srv/bus")
    assert networks.home() == Path("/srv/bus")


def test_without_ipcbus_home_it_is_the_platforms_folder_for_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("IPCBUS_HOME")
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/ann/.state")
    assert networks.home() == Path("/home/ann/.state/ipcbus")
    for ignored in ("relative/state", ""):
        monkeypatch.setenv("XDG_STATE_HOME", ignored)
        assert networks.home() == Path("/home/ann/.local/state/ipcbus")


def test_a_tilde_in_ipcbus_home_is_the_users_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("IPCBUS_HOME", "~/bus")
    assert networks.home() == Path("/home/ann/bus")


def test_a_relative_home_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCBUS_HOME", "state")
    with pytest.raises(UsageError, match="absolute"):
        networks.home()


def test_a_network_is_made_with_all_that_it_needs(home: Path) -> None:
    network = networks.create("dev")
    assert network.folder == home / "networks" / "dev"
    assert network.saved() == Saved()
    assert network.broker_info() is None
    assert not network.is_served()
    assert (network.operator_key.name, network.server_key.name) == (
        "operator.key",
        "server.key",
    )
    assert network.key_path("Alice") == network.folder / "keys" / "alice.key"
    assert network.database.parent == network.ballast.parent == network.folder


@pytest.mark.security
def test_every_folder_is_0700_and_every_file_0600_whatever_the_umask(
    home: Path,
) -> None:
    before = os.umask(0)
    try:
        networks.create("dev").save(Saved(port=9876))
    finally:
        os.umask(before)
    for path in (home / "networks").rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_making_a_network_again_changes_nothing(network: Network) -> None:
    network.save(Saved(port=9876))
    assert networks.create("DEV").saved().port == 9876


def test_a_missing_home_is_made_with_the_folders_above_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = home / "a" / "b"
    monkeypatch.setenv("IPCBUS_HOME", str(deep))
    networks.create("dev")
    assert stat.S_IMODE(deep.stat().st_mode) == 0o700


def test_names_are_compared_folded_and_shown_as_given(home: Path) -> None:
    networks.create("Dev")
    assert networks.find("dEV").name == "Dev"
    assert [network.name for network in networks.networks()] == ["Dev"]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "x" * 33, "é"])
def test_what_is_no_name_makes_no_folder(home: Path, name: str) -> None:
    with pytest.raises(InvalidAddress):
        networks.create(name)
    with pytest.raises(InvalidAddress):
        networks.find(name)
    assert not list(home.iterdir())


def test_the_key_of_what_is_no_name_has_no_path(network: Network) -> None:
    with pytest.raises(InvalidAddress):
        network.key_path("../operator")


def test_a_missing_network_comes_with_near_names(home: Path) -> None:
    networks.create("dev")
    networks.create("Devel")
    networks.create("prod")
    with pytest.raises(NoNetwork) as caught:
        networks.find("deve")
    assert "near: Devel, dev;" in str(caught.value)
    assert "ipcbus up --network deve" in str(caught.value)


def test_the_only_network_is_chosen(network: Network) -> None:
    assert networks.choose() == network


def test_the_environment_chooses_before_the_only_one_and_an_argument_before_that(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks.create("prod")
    monkeypatch.setenv("IPCBUS_NETWORK", "prod")
    assert networks.choose().name == "prod"
    assert networks.choose("dev") == network


def test_of_several_networks_none_is_guessed(network: Network) -> None:
    networks.create("prod")
    with pytest.raises(UsageError, match="dev, prod"):
        networks.choose()


def test_without_any_network_it_says_how_to_make_one(home: Path) -> None:
    assert networks.networks() == []
    with pytest.raises(NoNetwork, match="ipcbus up --network dev"):
        networks.choose()


def test_what_is_saved_is_read_back(network: Network) -> None:
    saved = Saved(port=9876, plain=True, settings={"history_ms": 0}, store="memory")
    network.save(saved)
    assert network.saved() == saved


def test_a_joined_network_is_read_back(network: Network) -> None:
    saved = Saved(remote="tcp://far.example:9876", server_key=KEY)
    network.save(saved)
    assert network.saved() == saved


@pytest.mark.security
@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "127.evil.example"])
def test_a_plain_network_beyond_this_machine_is_refused(
    network: Network, host: str
) -> None:
    with pytest.raises(UsageError, match="plain"):
        network.save(Saved(host=host, plain=True))
    path = network.folder / "network.json"
    path.write_text(json.dumps({"host": host, "plain": True}))
    with pytest.raises(StaleFile, match="plain"):
        network.saved()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        '{"port": "9876"}',
        '{"port": true}',
        '{"port": 65536}',
        '{"host": null}',
        '{"settings": []}',
        '{"store": "disk"}',
        '{"store": true}',
        '{"remote": "tcp://far:1"}',
        '{"remote": "tcp://far:1", "server_key": "short"}',
        json.dumps({"remote": "far", "server_key": KEY}),
        json.dumps({"remote": "tcp://\ud800:1", "server_key": KEY}),
        "[" * 50_000,
        '"' + "x" * 70_000 + '"',
    ],
)
def test_a_network_json_that_is_not_ours_is_refused_with_a_mend(
    network: Network, content: str
) -> None:
    (network.folder / "network.json").write_text(content)
    with pytest.raises(StaleFile, match=r"network\.json"):
        network.saved()
    assert networks.find("dev").name == "dev"


def test_a_network_that_says_nothing_of_its_store_is_durable(network: Network) -> None:
    (network.folder / "network.json").write_text('{"port": 9876}')
    assert network.saved().store == "durable"
    assert network.is_volatile() is False


def test_whether_a_network_is_volatile_is_known_without_a_broker(
    network: Network,
) -> None:
    network.save(Saved(store="memory"))
    assert network.is_volatile() is True
    network.save(Saved(remote="tcp://far.example:9876", server_key=KEY))
    assert network.is_volatile() is None, "only the other machine knows"


@pytest.mark.parametrize("content", ["", "null", '{"pid": "7"}', "\x00"])
def test_a_spoilt_broker_json_is_as_good_as_none(
    network: Network, content: str
) -> None:
    path = network.folder / "broker.json"
    path.write_text(content)
    path.chmod(0o600)
    assert network.broker_info() is None
    assert network.why_unknown() == "", "nobody serves it"


@pytest.mark.parametrize(
    "odd",
    [
        {"server_key": "zz"},
        {"server_key": "é" * 64},
        {"server_key": ""},
        {"endpoint": "here"},
        {"endpoint": "ipc:///tmp/\ud800"},
        {"pid": 0},
        {"pid": 10**20},
        {"epoch": -1},
        {"epoch": 2**63},
    ],
    ids=str,
)
def test_so_is_one_that_says_what_no_broker_would(
    network: Network, odd: dict[str, Any]
) -> None:
    info = networks.this_broker("dev", "tcp://127.0.0.1:1", KEY, 3, plain=False)
    network.write_broker_info(info._replace(**odd))
    assert network.broker_info() is None
    lock = network.lock()
    try:
        network.write_broker_info(info._replace(**odd))
        assert "does not tell where it is" in network.why_unknown()
        network.write_broker_info(info)
        assert network.why_unknown() == ""
    finally:
        os.close(lock)


def test_who_serves_is_read_back_and_is_us(network: Network) -> None:
    info = networks.this_broker("dev", "tcp://127.0.0.1:1", KEY, 3, plain=False)
    network.write_broker_info(info)
    assert network.broker_info() == info
    assert info.is_alive()
    assert not info._replace(started=info.started + 1).is_alive()
    assert not info._replace(boot_id="another").is_alive()


@pytest.mark.security
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o702, 0o711])
def test_a_folder_that_others_may_use_is_refused(network: Network, mode: int) -> None:
    network.folder.chmod(mode)
    for attempt in (lambda: networks.find("dev"), network.lock):
        with pytest.raises(UnsafeFolder, match=f"mode {mode:04o}.*chmod 700"):
            attempt()


@pytest.mark.security
def test_a_folder_of_another_user_is_refused(
    network: Network, missing_part: Callable[[str], None]
) -> None:
    if os.geteuid() != 0:
        missing_part("root, to give a folder to another user")
    os.chown(network.folder, 12345, -1)
    with pytest.raises(UnsafeFolder, match="belongs to user id 12345"):
        networks.find("dev")
    with pytest.raises(UnsafeFolder):
        network.lock()


@pytest.mark.security
def test_a_folder_that_is_a_symbolic_link_is_refused(home: Path) -> None:
    real = networks.create("real")
    (home / "networks" / "dev").symlink_to(real.folder)
    with pytest.raises(UnsafeFolder, match="symbolic link"):
        networks.find("dev")


@pytest.mark.security
def test_a_folder_of_networks_placed_by_another_is_refused(
    home: Path, tmp_path: Path
) -> None:
    (home / "networks").symlink_to(tmp_path)
    with pytest.raises(UnsafeFolder, match="symbolic link"):
        networks.create("dev")


def test_a_file_in_place_of_a_folder_is_refused(home: Path) -> None:
    networks.create("prod")
    (home / "networks" / "dev").write_text("")
    with pytest.raises(UnsafeFolder, match="is not a folder"):
        networks.create("dev")


def test_a_home_that_cannot_be_made_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IPCBUS_HOME", "/dev/null/home")
    with pytest.raises(UnsafeFolder, match="cannot be made"):
        networks.create("dev")


@pytest.mark.security
def test_another_user_of_the_machine_can_read_nothing(
    network: Network, missing_part: Callable[[str], None]
) -> None:
    if os.geteuid() != 0:
        missing_part("root, to become another user")
    home = networks.home()
    home.chmod(0o755)  # the worst that a user may do to it
    secret = network.folder / "secret"
    secret.write_text("x")
    secret.chmod(0o666)
    for command in (["ls", str(home / "networks")], ["cat", str(secret)]):
        done = subprocess.run(command, user=12345, capture_output=True, check=False)
        assert done.returncode != 0
        assert done.stdout == b""


def test_what_every_command_imports_is_light() -> None:
    """A one-shot `ipcbus send` passes here: what it does not need it must not pay."""
    heavy = (
        "asyncio dataclasses subprocess yaml apsw sqlite3 logging difflib zmq "
        "importlib.metadata inspect ctypes"
    )
    program = (
        "import sys, ipcbus.networks\n"
        f"print(*[m for m in {heavy.split()!r} if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == ""
