"""Commands and brokers that begin at once: forks of a process that has imported all.

Thousands of them run here, and more than half of what each costs is Python's start.
What a fork does is what the program does, from its arguments and environment to its
exit code. How it came to be is not: tests of starting, of what a start imports, and of
what others see of a process start real ones.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final

from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from ipcbus.transport.environment import environment

IMPORTED: Final = (
    "tests.forks",
    "ipcbus.doors.cli.app",
    "ipcbus.doors.cli.commands",
    "ipcbus.doors.cli.failures",
    "ipcbus.transport.serve",
)

OF_THE_START: Final = ("PYTHON", "LANG", "LC_")
"""What Python reads of the environment when it starts, and a fork does no more."""

MOST_STDIN: Final = 64 * 1024

READY_S: Final = 60.0
"""Seconds a broker may take to begin; far more than it does."""

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(list(IMPORTED))


def begin() -> None:
    """Start the process that forks; it ends with this one."""
    forkserver.ensure_running()


def can(env: Mapping[str, str], stdin: bytes) -> bool:
    """Whether a fork can be what is wanted: what it reads fits into a pipe."""
    return len(stdin) <= MOST_STDIN and not any(map(_is_of_the_start, env))


def run(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes,
    timeout: float,
) -> subprocess.CompletedProcess[bytes]:
    """Run `ipcbus ARGS` until it has ended, and whoever else holds its output.

    Raises TimeoutError; then it is killed.
    """
    with contextlib.ExitStack() as stack:
        pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(3)]
        for end in (end for pipe in pipes for end in pipe):
            stack.callback(end.close)
        (theirs, words), (out, their_out), (err, their_err) = pipes
        os.write(words.fileno(), stdin)
        words.close()
        how = (list(args), dict(env), str(cwd), (theirs, their_out, their_err))
        process = _CONTEXT.Process(target=_command, args=how, daemon=True)
        process.start()
        for end in theirs, their_out, their_err:
            end.close()
        try:
            read = _read_all([out, err], time.monotonic() + timeout)
            process.join(timeout)
        finally:
            process.kill()
    assert process.exitcode is not None
    return subprocess.CompletedProcess(args, process.exitcode, *read)


def serve(network: Network) -> BrokerInfo:
    """As `launch.start`."""
    ready, said = _CONTEXT.Pipe(duplex=False)
    with ready, said:
        how = (network, environment(network, os.environ), said)
        _CONTEXT.Process(target=_serve, args=how, daemon=True).start()
        said.close()
        (line,) = _read_all([ready], time.monotonic() + READY_S)
    return launch.said(network, line)


def _is_of_the_start(name: str) -> bool:
    return name.startswith(OF_THE_START)


def _read_all(ends: Sequence[Connection], deadline: float) -> list[bytes]:
    """What comes from each until its end."""
    read, open_ends = dict.fromkeys(ends, b""), list(ends)
    while open_ends:
        ready = wait(open_ends, max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"no end of what it says: {list(read.values())}")
        for end in filter(ready.__contains__, list(open_ends)):
            piece = os.read(end.fileno(), 65536)
            read[end] += piece
            if not piece:
                open_ends.remove(end)
    return list(read.values())


# --- in the fork ---------------------------------------------------------------


def _command(
    args: list[str], env: dict[str, str], cwd: str, ends: Sequence[Connection]
) -> None:
    from ipcbus.doors.cli import app

    _become(env, cwd, [_detached(end) for end in ends])
    sys.argv = ["ipcbus", *args]
    app.main()


def _serve(network: Network, env: dict[str, str], said: Connection) -> None:
    from ipcbus.transport import serve

    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(network.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _become(env, "/", [nothing, _detached(said), log])
    os._exit(serve.main([network.name]))


def _detached(end: Connection) -> int:
    """Its descriptor, once."""
    with end:
        return os.dup(end.fileno())


def _become(env: dict[str, str], cwd: str, descriptors: Sequence[int]) -> None:
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    errors = sys.stdout.errors
    sys.stdin = os.fdopen(0, errors=errors, closefd=False)
    sys.stdout = os.fdopen(1, "w", errors=errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
