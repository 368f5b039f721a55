"""`bridge claude-ipc B`: the door for programs that were written for claude-ipc-mcp."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ipcbus.doors.cli import bridge_detach
from ipcbus.doors.cli.output import emit
from ipcbus.doors.text import safe_line
from ipcbus.errors import IpcbusError, UsageError
from ipcbus.networks import VOLATILE, Network, files, find
from ipcbus.networks.process import boot_id, is_same, started

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
    if detach:
        more = [f"--{key}={value}" for key, value in asked.items()]
        more += ["--no-start"] if not start else []
        told = bridge_detach.start(
            NAME, network.name, more, one_way=True, keep=(SECRET,)
        )
        emit(told, lambda: _lines(told), as_json=as_json)
        return 0
    from ipcbus.doors.cli.bridge import Voice
    from ipcbus_bridges.claude_ipc import running

    say = Voice(NAME, network.name, as_json=as_json)
    if network.is_volatile():
        say(f"{network.name} is {VOLATILE}, those of old programs too")
    mark: list[Path] = []
    try:
        return running.run(
            network.name,
            network.folder,
            port=asked.get("port", running.PORT),
            rate=asked.get("rate", running.RATE),
            start=start,
            say=say,
            ready=lambda port: mark.append(_leave_mark(network, port)),
        )
    finally:
        for path in mark:
            path.unlink(missing_ok=True)


def stop_doors(network: Network) -> list[int]:
    """End the doors of a network that run here; their processes. Each has left a file
    that names its process, which is believed only if that very process lives."""
    ended = []
    for path in sorted((network.folder / NAME).glob("door-*.json")):
        pid = _living(path)
        if pid is None:
            path.unlink(missing_ok=True)
            continue
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + END_S
        while _living(path) is not None:
            if time.monotonic() > until:
                raise IpcbusError(reason=f"the door of process {pid} does not end")
            time.sleep(LOOK_S)
        ended.append(pid)
    return ended


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


def _leave_mark(network: Network, port: int) -> Path:
    path = network.folder / NAME / f"door-{port}.json"
    pid = os.getpid()
    mark = {"pid": pid, "started": started(pid), "boot_id": boot_id()}
    files.write_object(path, mark)
    return path


def _living(mark: Path) -> int | None:
    with contextlib.suppress(IpcbusError, KeyError, TypeError):
        found = files.read_object(mark)
        if found is not None:
            pid = int(found["pid"])
            if is_same(pid, found["started"], found["boot_id"]):
                return pid
    return None


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for line in told["said"]:
        yield safe_line(line)
    yield f"it runs on (pid {told['pid']}); log: {safe_line(told['log'])}"
