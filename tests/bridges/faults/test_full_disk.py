"""A network that is full: its own senders are refused, what crosses to it waits."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipcbus.errors import IpcbusError, StoreFull
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.bridges.faults.neighbours import Neighbour, Traffic, ends_well, pair
from tests.bridges.town import BACK, DEV, PROD, THERE, Bridge, Home, bridge, reported
from tests.waiting import until

MIB = 1024 * 1024
DISK = 16 * MIB
BODY = 32 * 1024
MOST = 4 * DISK // BODY

SMALL = ["disk", pytest.param("limit", marks=pytest.mark.slow)]
"""What makes a network small: a file system of 16 MiB, or what its owner set."""

Small = Callable[[str, str], Network]

pytestmark = pytest.mark.chaos


@pytest.fixture
def small(home: Path, missing_part: Callable[[str], None]) -> Iterator[Small]:
    """Makes a served network that holds 16 MiB."""
    with contextlib.ExitStack() as stack:

        def make(how: str, name: str) -> Network:
            here = Home(home)
            folder = home / "networks" / name
            if how == "disk":
                folder.parent.mkdir(mode=0o700)
                folder.mkdir(mode=0o700)
                _mount(folder, missing_part)
                stack.callback(subprocess.run, ["umount", str(folder)], check=True)
            network = here.network(name)
            limit = {"store_bytes": DISK} if how == "limit" else {}
            here.start(network, settings={**limit, "history_ms": 0})
            stack.callback(launch.stop, network, force=True)
            return network

        yield make


def _mount(folder: Path, missing_part: Callable[[str], None]) -> None:
    options = f"size={DISK},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        missing_part("root, to mount a small file system")


@pytest.mark.parametrize("how", SMALL)
def test_a_full_source_refuses_its_senders_and_carries_what_it_took(
    home: Path, small: Small, tmp_path: Path, how: str
) -> None:
    here = Home(home)
    small(how, DEV)
    here.start(here.network(PROD))
    with bridge(here, tmp_path) as spans:
        spans.runs()
    with pair(here) as people:
        assert isinstance(_fill(people.alice, "bob@prod"), StoreFull)
        assert people.alice.accepted(), "nothing fitted"
        with bridge(here, tmp_path) as spans:
            spans.runs()
            people.meet()
            until(lambda: _fits(people.alice, "bob@prod"), "there is room again")
            ends_well(people, (here, DEV), (here, PROD))


@pytest.mark.parametrize("how", SMALL)
def test_mail_to_a_full_destination_waits_and_flows_when_there_is_room(
    home: Path, small: Small, tmp_path: Path, how: str
) -> None:
    here = Home(home)
    small(how, PROD)
    here.start(here.network(DEV))
    with pair(here) as people:
        hoard = Neighbour(here, PROD, "carol", "carol")
        with bridge(here, tmp_path) as spans:
            spans.runs()
            people.submit(10)
            people.meet()
            assert isinstance(_fill(hoard, "carol"), StoreFull)
            people.alice.submit(20, b"." * BODY)
            _is_blocked(spans, here)
        with bridge(here, tmp_path) as spans:
            _is_blocked(spans, here)
            wanted = hoard.accepted()
            until(lambda: _has(hoard, wanted), "the hoard is taken")
            spans.says(THERE, "running")
            hoard.close()
            ends_well(people, (here, DEV), (here, PROD))


@pytest.mark.slow
def test_order_is_kept_when_a_destination_is_full_and_has_room_again_under_load(
    home: Path, small: Small, tmp_path: Path
) -> None:
    """Mail is on its way at the moment at which its stream is put off."""
    here = Home(home)
    small("limit", PROD)
    here.start(here.network(DEV))
    with pair(here) as people, bridge(here, tmp_path) as spans:
        hoard = Neighbour(here, PROD, "carol", "carol")
        spans.runs()
        with Traffic(people) as traffic:
            traffic.advance(20)
            assert isinstance(_fill(hoard, "carol"), StoreFull)
            spans.says(THERE, "blocked")
            wanted = hoard.accepted()
            until(lambda: _has(hoard, wanted), "the hoard is taken")
            spans.says(THERE, "running")
            traffic.advance(20)
            traffic.stop()
        hoard.close()
        ends_well(people, (here, DEV), (here, PROD))


def _is_blocked(spans: Bridge, here: Home) -> None:
    """The way to the full network says so, to all who ask; the other way runs."""
    spans.says(THERE, "blocked")
    said = reported(here)
    assert said["state"] == "blocked"
    assert said["reason"].startswith("4.3.1 prod has no room")
    assert spans.state(BACK) == "running"


def _fill(one: Neighbour, to: str) -> IpcbusError:
    """Send until it is refused; the refusal."""
    for _ in range(MOST):
        one.submit(1, b"." * BODY, to)
        refusal = one.refusal()
        if refusal is not None:
            return refusal
    pytest.fail(f"{MOST * BODY // MIB} MiB fitted into {DISK // MIB}")


def _fits(one: Neighbour, to: str) -> bool:
    one.submit(1, b"." * BODY, to)
    return one.refusal() is None


def _has(one: Neighbour, wanted: set[str]) -> bool:
    one.take()
    return {id_.partition("@")[0] for id_ in wanted} <= one.got
