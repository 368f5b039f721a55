"""Two hosts and a wire between them: a bridge over TCP, by invitation, and a partition.

The hosts are network namespaces. The wire is a third one, in which a switch carries
what they say or drops it without a word, as a real partition does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.bridges.faults.far import Far, far
from tests.bridges.town import (
    BACK,
    DEV,
    PROD,
    THERE,
    Home,
    bridge,
    new_home,
    passes,
)
from tests.faults.crew import until
from tests.faults.history import violations

HEALED_S = 5.0

INVITE = """
import ipcbus
with ipcbus.connect("prod", agent="") as owner:
    print(ipcbus.invite(owner, "@dev"))
"""
JOIN = "import sys, ipcbus; ipcbus.join_network(sys.stdin.read())"

pytestmark = pytest.mark.chaos


class Wire:
    """The switch between the hosts."""

    def __init__(self, space: str, port: str) -> None:
        self._space, self._port = space, port

    def cut(self) -> None:
        _ip("-n", self._space, "link", "set", self._port, "nomaster")

    def heal(self) -> None:
        _ip("-n", self._space, "link", "set", self._port, "master", "switch")


class Hosts(NamedTuple):
    """dev is on the near one, and so is the bridge; prod is on the far one."""

    near: Home
    far: Home
    wire: Wire


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.decode().strip())


@pytest.fixture
def hosts(
    missing_part: Callable[[str], None], _nothing_is_left_behind: None
) -> Iterator[Hosts]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        missing_part("root and iproute2, to make hosts of network namespaces")
    spaces = [f"ib-{os.getpid()}-{name}" for name in ("near", "far", "wire")]
    with ExitStack() as stack:
        try:
            for space in spaces:
                _ip("netns", "add", space)
                stack.callback(_ip, "netns", "del", space)
            _connect(*spaces)
        except OSError as error:
            missing_part(f"network namespaces, veth and bridge ({error})")
        near, distant = (
            stack.enter_context(new_home(("ip", "netns", "exec", space)))
            for space in spaces[:2]
        )
        near.start(near.network(DEV))
        distant.start(distant.network(PROD), host="10.77.0.2")
        yield Hosts(near, distant, Wire(spaces[2], "port2"))


def _connect(near: str, distant: str, wire: str) -> None:
    _ip("-n", wire, "link", "add", "switch", "type", "bridge")
    _ip("-n", wire, "link", "set", "switch", "up")
    for number, space in enumerate((near, distant), 1):
        port = f"port{number}"
        ends = ("type", "veth", "peer", "name", port, "netns", wire)
        _ip("link", "add", "eth0", "netns", space, *ends)
        _ip("-n", wire, "link", "set", port, "master", "switch", "up")
        _ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")


def test_all_mail_arrives_after_a_partition_of_10_s(
    hosts: Hosts, tmp_path: Path, show: Callable[[str], None]
) -> None:
    _part(hosts, tmp_path, 10, show)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_all_mail_arrives_after_a_partition_of_60_s(
    hosts: Hosts, tmp_path: Path, show: Callable[[str], None]
) -> None:
    _part(hosts, tmp_path, 60, show)


def _part(
    hosts: Hosts, folder: Path, seconds: float, show: Callable[[str], None]
) -> None:
    _invite(hosts)
    with (
        bridge(hosts.near, folder) as spans,
        far(hosts.near, DEV, "alice", "bob@prod") as alice,
        far(hosts.far, PROD, "bob", "alice@dev") as bob,
    ):
        spans.runs()
        both = (alice, bob)
        for one in both:
            one.send(True)
        _more(both, 50)
        hosts.wire.cut()
        cut = time.monotonic()
        for way in (THERE, BACK):
            spans.says(way, "backoff")
        passes(seconds - (time.monotonic() - cut))
        hosts.wire.heal()
        healed = time.monotonic()
        _more(both, 1)
        first = time.monotonic() - healed
        for one in both:
            one.send(False)
        for one, other in (both, both[::-1]):
            wanted = one.accepted()
            until(lambda o=other, w=wanted: w <= o.got(), f"all of {one.full}")  # type: ignore[misc]
        last = time.monotonic() - healed
        sent = [row for one in both for row in one.sent()]
        seen = [row for one in both for row in one.seen()]
        assert violations(sent, seen) == []
    show(f"parted for {seconds} s: mail after {first:.1f} s, all {len(sent)} messages")
    show(f"that were sent until then after {last:.1f} s")
    assert first < HEALED_S
    assert last < 2 * HEALED_S


def _invite(hosts: Hosts) -> None:
    """What the owner of prod does for the bridge, and the bridge's owner with it."""
    asked = hosts.far.run("-c", INVITE, stdout=subprocess.PIPE)
    line, _ = asked.communicate(timeout=30)
    joining = hosts.near.run("-c", JOIN, stdin=subprocess.PIPE)
    joining.communicate(line, timeout=30)
    assert asked.returncode == joining.returncode == 0


def _more(people: tuple[Far, Far], count: int) -> None:
    """Wait until each has got so many more."""
    for one in people:
        goal = one.count() + count
        until(lambda o=one, g=goal: o.count() >= g, f"{count} more at {one.full}")  # type: ignore[misc]
