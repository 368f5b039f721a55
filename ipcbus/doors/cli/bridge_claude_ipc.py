"""`bridge claude-ipc B`: the door for programs that were written for claude-ipc-mcp."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipcbus.doors.cli import bridge_detach, bridge_limits, bridge_marks
from ipcbus.doors.cli.bridge_marks import Mark
from ipcbus.doors.cli.output import emit
from ipcbus.doors.text import safe_line
from ipcbus.errors import IpcbusError, UsageError
from ipcbus.networks import VOLATILE, Network, find

if TYPE_CHECKING:
    from ipcbus_bridges.claude_ipc.limits import Limits

NAME: Final = "claude-ipc"

SECRET: Final = "IPC_SHARED_SECRET"  # noqa: S105 - the name of a variable

END_S: Final = 10.0
"""For a door to end: it lets answers be read that are on their way."""

LOOK_S: Final = 0.05


def open_door(
    name: str, asked: dict[str, Any], *, start: bool, detach: bool, as_json: bool
) -> int:
    """Serve old programs, here or detached; or free a name for them."""
    network = find(name)
    if network.saved().remote is not None:
        raise UsageError(
            reason=f"{network.name} is another machine's; run it there: only its owner "
            "can give old instances their keys"
        )
    if "free" in asked:
        return _free(network, asked["free"], as_json=as_json)
    wanted = asked.get("limit", ())
    limits = bridge_limits.read(wanted)
    if detach:
        plain = {key: value for key, value in asked.items() if key != "limit"}
        more = [f"--{key}={value}" for key, value in plain.items()]
        more += [f"--limit={text}" for text in wanted]
        more += ["--no-start"] if not start else []
        told = bridge_detach.start(
            NAME, network.name, more, one_way=True, keep=(SECRET,)
        )
        emit(told, lambda: _lines(told), as_json=as_json)
        return 0
    return _serve(network, asked, limits, start=start, as_json=as_json)


def _serve(
    network: Network,
    asked: dict[str, Any],
    limits: Limits,
    *,
    start: bool,
    as_json: bool,
) -> int:
    from ipcbus.doors.cli.bridge import Voice
    from ipcbus_bridges.claude_ipc import running

    say = Voice(NAME, network.name, as_json=as_json)
    if network.is_volatile():
        say(f"{network.name} is {VOLATILE}, those of old programs too")
    if changed := bridge_limits.changed(limits):
        say(f"limits: {changed}")
    mark: list[Path] = []
    try:
        return running.run(
            network.name,
            network.folder,
            port=asked.get("port", running.PORT),
            rate=asked.get("rate", running.RATE),
            limits=limits,
            start=start,
            say=say,
            ready=lambda port: mark.append(bridge_marks.leave(network, port)),
        )
    finally:
        for path in mark:
            path.unlink(missing_ok=True)


def stop_doors(network: Network) -> list[int]:
    """End the doors of a network that run here; their processes."""
    ended = []
    for mark in bridge_marks.found(network):
        if mark.is_running:
            _end(network, mark)
            ended.append(mark.pid)
        else:
            mark.path.unlink(missing_ok=True)
    return ended


def _end(network: Network, mark: Mark) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(mark.pid, signal.SIGTERM)
    until = time.monotonic() + END_S
    while any(m.pid == mark.pid and m.is_running for m in bridge_marks.found(network)):
        if time.monotonic() > until:
            raise IpcbusError(reason=f"the door of process {mark.pid} does not end")
        time.sleep(LOOK_S)


def _free(network: Network, name: str, *, as_json: bool) -> int:
    from ipcbus_bridges.claude_ipc import names
    from ipcbus_bridges.claude_ipc.state import State

    if not names.is_old(name):
        raise UsageError(reason=f"{name} cannot be the name of an old instance")
    state = State(network.folder)
    try:
        ended = state.free(name, time.time())
    finally:
        state.close()
    text = (
        f"{name} is free for the next program that registers; sessions ended: {ended}"
    )
    document = {"network": network.name, "name": name, "sessions_ended": ended}
    emit(document, lambda: [safe_line(text)], as_json=as_json)
    return 0


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for line in told["said"]:
        yield safe_line(line)
    yield f"it runs on (pid {told['pid']}); log: {safe_line(told['log'])}"
