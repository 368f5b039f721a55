"""`bridges stop`: end the bridges between two networks that run on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any, Final

import click

from ipcbus.doors.cli.bridge_claude_ipc import NAME, stop_doors
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.reach import Unasked, link_of, try_owner
from ipcbus.errors import IpcbusError, NoBroker, NotPermitted
from ipcbus.networks import find
from ipcbus.networks.process import boot_id, is_same
from ipcbus.protocol.address import fold

LOOK_S: Final = 0.1
OVER_S: Final = 10.0
"""Seconds in which one bridge must be gone, and its standby, if any, have told of
itself."""


@click.command()
@click.argument("a")
@click.argument("b")
@json_option
def stop(a: str, b: str, as_json: bool) -> None:
    """End the bridges between two networks.

    Also those that stand by. What they had under way is not lost: mail waits on disk
    until there is a bridge again. Brokers go on. With claude-ipc as A, the doors of B
    for its programs end.
    """
    ended: list[int] = stop_doors(find(b)) if fold(a) == NAME else []
    for network, peer in ((a, b), (b, a)):
        client = try_owner(network)
        if isinstance(client, Unasked):
            continue
        with client:
            ended += _stop_all(client, peer, ended)
    if not ended:
        raise NoBroker(network=f"{a} and {b}", reason="there is no bridge between them")
    lines = [f"the bridge ended (pid {pid})" for pid in ended]
    emit({"ended": ended}, lambda: lines, as_json=as_json)


def _stop_all(client: Any, peer: str, ended: list[int]) -> list[int]:
    """One after the other, as each tells of itself when it leads the link."""
    found: list[int] = []
    until = time.monotonic() + OVER_S
    while (link := link_of(client, peer)) is not None and link["bridges"]:
        process = _leader(link)
        if process is not None and process[0] not in (*ended, *found):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process[0], signal.SIGTERM)
            found.append(process[0])
            until = time.monotonic() + OVER_S
        elif time.monotonic() > until:
            raise IpcbusError(reason=f"a bridge to {peer} does not end; see its log")
        time.sleep(LOOK_S)
    return found


def _leader(link: dict[str, Any]) -> tuple[int, int, str] | None:
    """The process that led the link when it was last heard of, if it lives.

    Raises `NotPermitted` if it runs on another machine, or is another user's.
    """
    said = link["out"] or link["in"]
    if said is None:
        return None
    pid, start, boot = said["process"]
    if boot != boot_id():
        raise NotPermitted(reason="the bridge runs on another machine; end it there")
    return (pid, start, boot) if is_same(pid, start, boot) else None
