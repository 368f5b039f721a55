"""A full disk: sends are refused with a code, acks work, and it mends by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.errors import NoBroker, StoreFull
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.waiting import until

MIB = 1024 * 1024
DISK = 16 * MIB
BODY = 32 * 1024
MOST = 4 * DISK // BODY

pytestmark = pytest.mark.chaos


@pytest.fixture
def small_disk(home: Path, missing_part: Callable[[str], None]) -> Iterator[Path]:
    """IPCBUS_HOME is a file system of 16 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        missing_part("root, to mount a small file system")
    try:
        yield home
    finally:
        for network in networks.networks():
            try:
                launch.stop(network, force=True)
            except NoBroker:
                continue
        subprocess.run(["umount", str(home)], check=True)


@pytest.fixture
def network_on_small_disk(small_disk: Path) -> Network:
    return networks.create("dev")


@pytest.fixture
def network_with_a_limit(network: Network) -> Network:
    network.save(network.saved()._replace(settings={"store_bytes": DISK}))
    return network


@pytest.mark.parametrize("where", ["network_on_small_disk", "network_with_a_limit"])
def test_a_full_store_refuses_sends_takes_acks_and_recovers_without_a_restart(
    where: str, request: pytest.FixtureRequest, show: Callable[[str], None]
) -> None:
    network: Network = request.getfixturevalue(where)
    info = launch.start(network)
    with (
        ipcbus.connect("dev", agent="alice") as alice,
        ipcbus.connect("dev", agent="bob") as bob,
    ):
        accepted = _fill(alice)
        assert accepted, "nothing fitted"
        with pytest.raises(StoreFull) as refusal:
            _send(alice, MOST)
        assert refusal.value.exit_code == 5
        got = _take_all(bob, len(accepted))
        assert got == accepted
        until(lambda: _fits(alice), "there is room again")
        (message,) = bob.receive(timeout=30)
        message.ack().result(30)
        epochs = {alice.epoch, bob.epoch}
    show(f"{where}: {len(accepted)} messages of {BODY // 1024} KiB fitted")
    assert epochs == {info.epoch}, "the broker was not started again"


def test_a_disk_that_others_fill_refuses_sends_takes_acks_and_recovers(
    network_on_small_disk: Network, small_disk: Path
) -> None:
    info = launch.start(network_on_small_disk)
    with (
        ipcbus.connect("dev", agent="alice") as alice,
        ipcbus.connect("dev", agent="bob") as bob,
    ):
        accepted = [_send(alice, number) for number in range(20)]
        junk = small_disk / "junk"
        _fill_disk(junk)
        with pytest.raises(StoreFull):
            _send(alice, 20)
        assert _take_all(bob, len(accepted)) == accepted
        junk.unlink()
        until(lambda: _fits(alice), "there is room again")
        (message,) = bob.receive(timeout=30)
        message.ack().result(30)
        assert {alice.epoch, bob.epoch} == {info.epoch}


def _send(client: ipcbus.Client, number: int) -> str:
    body = number.to_bytes(4, "little") * (BODY // 4)
    return client.send("bob", body, id=f"m{number}", timeout=30).id


def _fill(client: ipcbus.Client) -> list[str]:
    """Send until it is refused; the ids of what was accepted."""
    accepted = []
    for number in range(MOST):
        try:
            accepted.append(_send(client, number))
        except StoreFull:
            return accepted
    pytest.fail(f"{MOST * BODY // MIB} MiB fitted into {DISK // MIB}")


def _take_all(client: ipcbus.Client, count: int) -> list[str]:
    """Receive and ack `count` messages; every ack must be committed."""
    got: list[str] = []
    while len(got) < count:
        found = client.receive(64, timeout=30)
        assert found, f"{len(got)} of {count} came"
        for message in found:
            message.ack().result(30)
            got.append(message.id)
    return got


def _fits(client: ipcbus.Client) -> bool:
    try:
        client.send("bob", b"." * BODY, id="again", timeout=30)
    except StoreFull:
        return False
    return True


def _fill_disk(path: Path) -> None:
    """Write until nothing more fits."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for size in (64 * 1024, 1024):
        try:
            while True:
                os.write(fd, bytes(size))
        except OSError:
            continue
    os.close(fd)
