"""`bridge`: a process that carries mail between two networks."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

import click

from ipcbus.client import invitations
from ipcbus.client.invitations import Invitation
from ipcbus.doors.cli.join_network import from_file, from_stdin, use
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import abandon_stdout, emit
from ipcbus.doors.text import safe_line
from ipcbus.doors.view import timestamp
from ipcbus.errors import (
    InvalidAddress,
    IpcbusError,
    NoNetwork,
    NotPermitted,
    UsageError,
)
from ipcbus.networks import VOLATILE, find
from ipcbus.protocol.address import fold

CLAUDE_IPC: Final = "claude-ipc"

RULES: Final = (
    click.option(
        "--rules",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A file of rules: what passes and what not.",
    ),
    click.option(
        "--allow",
        multiple=True,
        metavar="RULE",
        help="What passes: 'planner@dev -> reviewer@prod kinds=request'.",
    ),
    click.option("--deny", multiple=True, metavar="RULE", help="What never passes."),
)


@click.command()
@click.argument("a")
@click.argument("b")
@RULES[0]
@RULES[1]
@RULES[2]
@click.option("--one-way", is_flag=True, help="Only from A to B.")
@click.option("--no-start", is_flag=True, help="Wait for brokers; start none.")
@click.option("--detach", is_flag=True, help="Return when it works; it runs on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Of claude-ipc: 9876 by default."
)
@click.option(
    "--rate",
    type=click.IntRange(0, 1_000_000),
    metavar="N",
    help="Of claude-ipc: requests a minute of one instance; 0 for no limit.",
)
@click.option(
    "--limit",
    multiple=True,
    metavar="KEY=VALUE",
    help="Of claude-ipc: another bound, as request_size=2MiB or session_time=7d.",
)
@click.option(
    "--free", metavar="NAME", help="Of claude-ipc: let the next claimant have a name."
)
@json_option
def bridge(
    a: str,
    b: str,
    no_start: bool,
    detach: bool,
    port: int | None,
    rate: int | None,
    limit: tuple[str, ...],
    free: str | None,
    as_json: bool,
    **wanted: Any,
) -> int:
    """Carry mail between two networks.

    A and B are networks of this machine. For one of another machine, its owner makes an
    invitation (ipcbus invite --bridge); give a file that holds it, or - to read it from
    stdin. Without rules, agents of each network may write to agents of the other, and
    nothing else passes. Runs in the foreground until Ctrl-C, unless --detach is given.

    With claude-ipc as A, programs that were written for claude-ipc-mcp are agents of B.
    """
    given = {"port": port, "rate": rate, "limit": limit or None, "free": free}
    asked = {name: value for name, value in given.items() if value is not None}
    if _is_door(a, asked):
        from ipcbus.doors.cli import bridge_claude_ipc

        for name, value in wanted.items():
            if value:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(reason=f"{option} is for bridges between two networks")
        return bridge_claude_ipc.open_door(
            b, asked, start=not no_start, detach=detach, as_json=as_json
        )
    first, second = _ends(a, b)
    if detach:
        from ipcbus.doors.cli.bridge_detach import start

        more = _again(**wanted) + (["--no-start"] if no_start else [])
        started = start(first, second, more, one_way=wanted["one_way"])
        emit(started, lambda: _told(started), as_json=as_json)
        return 0
    return _carry(first, second, start=not no_start, as_json=as_json, **wanted)


def _carry(
    first: str,
    second: str,
    *,
    rules: Path | None,
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    one_way: bool,
    start: bool,
    as_json: bool,
) -> int:
    from ipcbus_bridges.runner import run

    say = Voice(first, second, as_json=as_json)
    for line in _weaker(first, second):
        say(line)
    return run(
        first,
        second,
        rules=rules.absolute() if rules else None,
        allow=list(allow),
        deny=list(deny),
        one_way=one_way,
        start=start,
        say=say,
    )


def _is_door(a: str, asked: dict[str, Any]) -> bool:
    """Whether it is no bridge but the door for programs of claude-ipc. A network may be
    called so, too; then one of the options of the door tells."""
    if fold(a) != CLAUDE_IPC:
        if asked:
            raise UsageError(
                reason=f"--{min(asked)} is for: ipcbus bridge claude-ipc B"
            )
        return False
    if asked:
        return True
    try:
        find(a)
    except NoNetwork:
        return True
    return False


def _weaker(*names: str) -> Iterator[str]:
    """Which of the networks of this machine do not keep what they accept."""
    for name in names:
        with suppress(NoNetwork, InvalidAddress):  # one that is none of ipcbus
            if find(name).is_volatile():
                yield f"{name} is {VOLATILE}, those of this bridge too"


def _again(
    rules: Path | None, allow: tuple[str, ...], deny: tuple[str, ...], one_way: bool
) -> list[str]:
    """The options, for another process in another folder."""
    words = [f"--rules={rules.absolute()}"] if rules else []
    words += [f"--allow={text}" for text in allow]
    words += [f"--deny={text}" for text in deny]
    return [*words, *(["--one-way"] if one_way else [])]


def _told(started: dict[str, Any]) -> Iterator[str]:
    """For people, who need not know how the links came to where they are."""
    under_way = re.compile(r"\S+ -> \S+: (connecting|asking)$")
    for line in started["said"]:
        if not under_way.match(line):
            yield safe_line(line)
    yield f"it runs on (pid {started['pid']}); log: {safe_line(started['log'])}"


class Voice:
    """Prints what a bridge says, from any of its threads. That nobody reads it any
    more is no reason for a bridge to end."""

    def __init__(self, a: str, b: str, *, as_json: bool) -> None:
        self._between = [a, b]
        self._as_json = as_json
        self._lock = Lock()
        self._heard = True

    def __call__(self, line: str) -> None:
        with self._lock:
            if self._heard:
                self._print(line)

    def _print(self, line: str) -> None:
        at = timestamp(int(time.time() * 1000))
        document = {"at": at, "bridge": self._between, "said": line}
        try:
            emit(document, lambda: [safe_line(line)], as_json=self._as_json)
        except BrokenPipeError:
            self._heard = False
            abandon_stdout()
        except IpcbusError:
            self._heard = False


# --- the two ends ------------------------------------------------------------------


class _End(NamedTuple):
    """What was given for a network: its name, and the invitation to it, if any."""

    name: str
    line: str = ""
    invited: Invitation | None = None

    @property
    def peer(self) -> str:
        """How the other side calls it; a foreign one by its scheme."""
        return self.name.partition(":")[0]


def _ends(a: str, b: str) -> tuple[str, str]:
    """The names of both networks; where one was invited to, it has been joined."""
    if a == b == "-":
        raise UsageError(reason="stdin holds one invitation: give the other as a file")
    first, second = _end(a), _end(b)
    if fold(first.peer) == fold(second.peer):
        raise UsageError(reason=f"{first.peer} needs no bridge to itself")
    for end, other in ((first, second), (second, first)):
        if end.invited is not None:
            _check(end.invited, other.peer)
    for end in (first, second):
        if end.invited is not None:
            _join(end.invited, end.line)
    return first.name, second.name


def _end(given: str) -> _End:
    if given.startswith(invitations.PREFIX):
        raise UsageError(
            reason="an invitation is a secret, and a command line can be seen by other "
            "users: give a file that holds it, or - to read it from stdin"
        )
    if given == "-":
        return _invited(from_stdin())
    try:
        return _End(find(given).name)
    except (NoNetwork, InvalidAddress):
        if Path(given).is_file():
            return _invited(from_file(Path(given)))
        if ":" in given:
            return _End(given)  # of another kind; whoever brings it knows
        raise


def _invited(line: str) -> _End:
    invitation = invitations.read(line)
    return _End(invitation.network, line, invitation)


def _check(invitation: Invitation, other: str) -> None:
    """Whether it is for this bridge: the name it is for is that of the other side."""
    name, network = invitation.name, invitation.network
    if not name.startswith("@"):
        raise UsageError(
            reason=f"this invitation lets agent {name} into {network}; a bridge needs "
            f"one of: ipcbus invite --bridge {other} --network {network}"
        )
    if fold(name[1:]) != fold(other):
        raise UsageError(
            reason=f"this invitation is for a bridge of {network} to {name[1:]}, not "
            f"to {other}; names of networks are the same on both sides of a bridge"
        )


def _join(invitation: Invitation, line: str) -> None:
    """Use an invitation; one that was used here before is as good."""
    known = _is_joined(invitation)
    try:
        use(invitation, line)
    except NotPermitted:
        if not known:
            raise


def _is_joined(invitation: Invitation) -> bool:
    try:
        network = find(invitation.network)
    except NoNetwork:
        return False
    is_same = network.saved().server_key == invitation.server_key
    return is_same and network.key_path(invitation.name).exists()
