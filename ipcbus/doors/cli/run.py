"""`run`: a command of the caller's own, and a message of what became of it.

It is run as it is given, without a shell, because its caller says so here and now:
nothing is ever run because of what a message says. What it prints goes through to the
caller as it comes and into a file beside, of which the message has as much as is read
at a glance, and all of it as an attachment if that is not the whole.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from subprocess import PIPE, Popen
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import click

from ipcbus.cores import as_before
from ipcbus.doors.cli.newcomers import said_to
from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import remark, to_json, write
from ipcbus.doors.cli.session import as_member
from ipcbus.doors.text import LONG, safe_line, size
from ipcbus.errors import Refused, UsageError
from ipcbus.protocol.address import parse
from ipcbus.protocol.limits import KIB, MAX_ATTACHMENT

if TYPE_CHECKING:
    from ipcbus.client.sync import Client

HEAD: Final = 3 * KIB
TAIL: Final = 5 * KIB
"""Bytes of a long output that the message shows; most errors are told at the end."""

COMMAND_SHOWN: Final = 300
"""Letters of the command line in the message; the data has it whole."""

ARGUMENTS: Final = 16 * KIB
"""Bytes of arguments in the data: what a message carries beside its body is bounded."""

LINGER_S: Final = 0.2
"""How long a silent pipe is read on when the command has ended: what it left running in
the background holds the other end."""

PIECE: Final = 64 * KIB


class Outcome(NamedTuple):
    """How a command ended.

    Attributes:
        code: as a shell has it: 128 and the number of the signal that ended it.
        size: bytes of all output.
        kept: of these, those in the file.
    """

    argv: Sequence[str]
    code: int
    seconds: float
    size: int
    kept: int


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--to", required=True, metavar="ADDRESS", help="Who is told.")
@click.option("--thread", metavar="ID", help="The conversation it belongs to.")
@member
def run(
    command: tuple[str, ...],
    to: str,
    thread: str | None,
    network: str | None,
    agent: str | None,
    as_json: bool,
) -> int:
    """Run a command and send what became of it.

    ipcbus run --to bob -- pytest -q runs `pytest -q` (no shell, unless you name one),
    shows its output as it comes, sends output, exit code and the command line itself
    to bob, and ends with that exit code. With --json all output goes to stderr.
    """
    parse(to)
    with (
        as_member(network, agent) as client,
        NamedTemporaryFile(prefix="ipcbus-run-") as file,
    ):
        outcome = carry_out(command, file, 2 if as_json else 1)
        message = message_of(client, outcome, file)
        if thread:
            message["thread"] = thread
        receipt = said_to(client, to, client.send, message)
    if as_json:
        document = {"id": receipt.id, "state": receipt.state, "to": receipt.to}
        write(to_json(document | message["data"]) + "\n")
    else:
        remark(f"exit code {outcome.code}, told {safe_line(receipt.to)}: {receipt.id}")
    return outcome.code


# --- running -----------------------------------------------------------------


def carry_out(argv: Sequence[str], file: IO[bytes], out: int) -> Outcome:
    """Run it; what it prints goes to `out` and 2, and to `file`. Raises `UsageError`
    if it cannot be started."""
    begun = time.monotonic()
    with _signals_passed_on() as pass_to:
        try:
            with as_before():
                process = Popen(argv, stdout=PIPE, stderr=PIPE)
        except OSError as error:
            reason = f"cannot run {argv[0]}: {error.strerror}"
            raise UsageError(reason=reason) from error
        pass_to(process)
        with process:
            total = _pump(process, file, out)
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()
            code = process.wait()
    file.flush()
    seconds = round(time.monotonic() - begun, 3)
    kept = min(total, MAX_ATTACHMENT)
    return Outcome(argv, 128 - code if code < 0 else code, seconds, total, kept)


def _pump(process: Popen[bytes], file: IO[bytes], out: int) -> int:
    """Pass on and record all output; how many bytes it was."""
    total = 0
    with DefaultSelector() as selector:
        selector.register(process.stdout or -1, EVENT_READ, _Passing(out))
        selector.register(process.stderr or -1, EVENT_READ, _Passing(2))
        while selector.get_map():
            ready = selector.select(LINGER_S)
            if not ready and process.poll() is not None:
                break
            for key, _ in ready:
                piece = os.read(key.fd, PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                key.data.write(piece)
                file.write(piece[: max(0, MAX_ATTACHMENT - total)])
                total += len(piece)
    return total


class _Passing:
    """To a descriptor of ours, until nobody reads there: the command goes on."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def write(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left and self._fd is not None:
            try:
                left = left[os.write(self._fd, left) :]
            except OSError:
                self._fd = None


@contextmanager
def _signals_passed_on() -> Iterator[Callable[[Popen[bytes]], None]]:
    """Signals are for the command; how it ended is still told. A ^C at a terminal has
    reached it already."""
    running: list[Popen[bytes]] = []

    def handle(number: int, frame: object) -> None:
        if number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
            return
        for process in running:
            process.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield running.append
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- telling -----------------------------------------------------------------


def message_of(client: Client, outcome: Outcome, file: IO[bytes]) -> dict[str, Any]:
    """The keywords of `Client.send`."""
    first = f"$ {_shown(outcome.argv)}"
    second = f"exit code {outcome.code} after {outcome.seconds:.1f} s"
    intro = f"{first}\n{second}\n\n"
    data: dict[str, Any] = {
        "command": _arguments(outcome.argv),
        "exit_code": outcome.code,
        "duration_s": outcome.seconds,
    }
    if outcome.size <= LONG:
        file.seek(0)
        body = intro + file.read().decode(errors="replace")
        if len(body.encode()) <= LONG:
            return {"body": body, "data": data}
    data["output_bytes"] = outcome.size
    try:
        attached = client.upload(
            Path(file.name), "output.txt", content_type="text/plain"
        )
    except Refused as error:  # too much for the network; its ends are still told
        note = f"it could not be attached: {error}"
        return {"body": intro + _ends(file, outcome, note), "data": data}
    note = "the whole is attached as output.txt"
    if outcome.kept < outcome.size:
        note = f"the first {size(outcome.kept)} are attached as output.txt"
    body = intro + _ends(file, outcome, note)
    return {"body": body, "data": data, "attach": (attached,)}


def _ends(file: IO[bytes], outcome: Outcome, note: str) -> str:
    """The beginning and the end of what was kept, and a word on what is between."""
    tail = max(HEAD, outcome.kept - TAIL)
    between = f"\n[... {size(outcome.size)} in all; {note} ...]\n"
    return _text(file, 0, HEAD) + between + _text(file, tail, TAIL)


def _text(file: IO[bytes], offset: int, count: int) -> str:
    """At most `count` bytes as text, no more than `count` bytes long."""
    file.seek(offset)
    text = file.read(count).decode(errors="replace")
    return text.encode()[:count].decode(errors="ignore")


def _shown(argv: Sequence[str]) -> str:
    line = shlex.join(_readable(one) for one in argv)
    return line if len(line) <= COMMAND_SHOWN else line[:COMMAND_SHOWN] + " ..."


def _arguments(argv: Sequence[str]) -> list[str]:
    found: list[str] = []
    room = ARGUMENTS
    for one in map(_readable, argv):
        room -= len(one.encode()) + 8
        if room < 0 or len(found) > 1000:
            return [*found, "..."]
        found.append(one)
    return found


def _readable(argument: str) -> str:
    """What is no UTF-8 on the command line is shown as escapes."""
    return os.fsencode(argument).decode(errors="backslashreplace")
