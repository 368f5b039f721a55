"""Two hosts and a wire between them: a bridge over TCP, by invitation, and a partition.

The hosts are network namespaces. The wire is a third one, in which a switch carries
what they say. It is parted as real ones are: all is dropped without a word, or what one
of them says, or something on the way answers for the far host that nobody is there.
"""

from __future__ import annotations

import json
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
from tests.faults.history import violations
from tests.waiting import until

HEALED_S = 5.0
PARTED_S = float(os.environ.get("PARTED_S", "60"))
"""Of the long partitions; 600 was tried once."""

BACKLOG_RATE = 1_000
"""Messages a second, of those that have waited: far less than there are."""

QUIET_S = 2.0
"""At the end of a partition, when all that was under way has arrived."""

NEAR, FAR = "10.77.0.1", "10.77.0.2"
CUTS = ["silent", "reset", "there", "back"]

INVITE = """
import ipcbus
with ipcbus.connect("prod", agent="") as owner:
    print(ipcbus.invite(owner, "@dev"))
"""
JOIN = "import sys, ipcbus; ipcbus.join_network(sys.stdin.read())"

pytestmark = pytest.mark.chaos


class Wire:
    """The switch between the hosts, and what each of them takes for the other."""

    def __init__(self, near: str, distant: str, wire: str) -> None:
        self._near, self._distant, self._wire = near, distant, wire
        self._port = ("-n", wire, "link", "set", "port2")
        self._switch = ("-n", wire, "link", "set", "switch", "address")
        self._own = _address(wire, "switch")

    def cut(self, how: str = "silent") -> None:
        match how:
            case "silent":
                _ip(*self._port, "nomaster")
            case "there":
                self._mislead(self._near, FAR)
            case "back":
                self._mislead(self._distant, NEAR)
            case "reset":
                self._answer_for_the_far_one()

    def heal(self, how: str = "silent") -> None:
        match how:
            case "silent":
                _ip(*self._port, "master", "switch")
            case "there":
                _ip("-n", self._near, "neigh", "del", FAR, "dev", "eth0")
            case "back":
                _ip("-n", self._distant, "neigh", "del", NEAR, "dev", "eth0")
            case "reset":
                _ip("-n", self._wire, "addr", "del", f"{FAR}/32", "dev", "switch")
                _ip(*self._switch, self._own)
                _ip(*self._port, "master", "switch")

    def _mislead(self, space: str, host: str) -> None:
        """Let what `space` says to `host` go to a card that nobody has."""
        nobody = ("lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent")
        _ip("-n", space, "neigh", "replace", host, *nobody)

    def _answer_for_the_far_one(self) -> None:
        """The switch takes its address, has none of its connections, and so resets
        each (RFC 9293, 3.5.2)."""
        _ip(*self._port, "nomaster")
        _ip(*self._switch, _address(self._distant, "eth0"))
        _ip("-n", self._wire, "addr", "add", f"{FAR}/32", "dev", "switch")
        _ip("-n", self._wire, "route", "replace", f"{NEAR}/32", "dev", "switch")


class Hosts(NamedTuple):
    """dev is on the near one, and so is the bridge; prod is on the far one."""

    near: Home
    far: Home
    wire: Wire


def _ip(*arguments: str) -> bytes:
    done = subprocess.run(["ip", *arguments], capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.decode().strip())
    return done.stdout


def _address(space: str, device: str) -> str:
    """Of a network card."""
    (found,) = json.loads(_ip("-j", "-n", space, "link", "show", device))
    return str(found["address"])


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
        distant.start(distant.network(PROD), host=FAR)
        yield Hosts(near, distant, Wire(*spaces))


def _connect(near: str, distant: str, wire: str) -> None:
    _ip("-n", wire, "link", "add", "switch", "type", "bridge")
    _ip("-n", wire, "link", "set", "switch", "up")
    for number, space in enumerate((near, distant), 1):
        port = f"port{number}"
        ends = ("type", "veth", "peer", "name", port, "netns", wire)
        _ip("link", "add", "eth0", "netns", space, *ends)
        _ip("-n", wire, "link", "set", port, "master", "switch", "up")
        host = (NEAR, FAR)[number - 1]
        _ip("-n", space, "addr", "add", f"{host}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")


@pytest.mark.slow
def test_all_mail_arrives_after_a_partition_of_10_s(
    hosts: Hosts, tmp_path: Path, show: Callable[[str], None]
) -> None:
    _part(hosts, tmp_path, 10, show)


@pytest.mark.parametrize(
    "how",
    [CUTS[0], *(pytest.param(how, marks=pytest.mark.slow) for how in CUTS[1:])],
)
def test_all_mail_arrives_after_a_partition_of_5_s(
    hosts: Hosts, tmp_path: Path, show: Callable[[str], None], how: str
) -> None:
    """Shorter than it takes to give a silent connection up."""
    _part(hosts, tmp_path, 5, show, how, noticed=how == "reset")


@pytest.mark.slow
@pytest.mark.timeout(240 + 3 * PARTED_S)
@pytest.mark.parametrize("how", CUTS)
def test_all_mail_arrives_after_a_long_partition(
    hosts: Hosts, tmp_path: Path, show: Callable[[str], None], how: str
) -> None:
    _part(hosts, tmp_path, PARTED_S, show, how)


def _part(
    hosts: Hosts,
    folder: Path,
    seconds: float,
    show: Callable[[str], None],
    how: str = "silent",
    *,
    noticed: bool = True,
) -> None:
    """`noticed`: both links say so, before it is over."""
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
        hosts.wire.cut(how)
        cut = time.monotonic()
        for way in (THERE, BACK) if noticed else ():
            spans.says(way, "backoff")
        passes(seconds - QUIET_S - (time.monotonic() - cut))
        there = [one.count() for one in both]
        passes(QUIET_S)
        assert [one.count() for one in both] == there, "nothing comes through"
        hosts.wire.heal(how)
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
    show(
        f"parted for {seconds:g} s ({how}): mail after {first:.1f} s, all {len(sent)} "
        f"messages that were sent until then after {last:.1f} s"
    )
    assert first < HEALED_S
    assert last < 2 * HEALED_S + len(sent) / BACKLOG_RATE


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
