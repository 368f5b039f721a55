"""`say`: what to do, in plain words.

One sentence, or a prompt that takes one a line. What is not sure is not carried out:
it is said what it could mean and what to type, and the command ends with 2.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, is_terminal, remark, write
from ipcbus.errors import BoundExceeded, IpcbusError, NothingThere, UsageError
from ipcbus.protocol.limits import MAX_BODY

if TYPE_CHECKING:
    from ipcbus.doors.language import Intent, Unsure
    from ipcbus.doors.tools.desk import Desk

LONGEST: Final = MAX_BODY + 4096
"""Bytes of a line: the longest text, and what to do with it."""

WAYS_OUT: Final = frozenset({"quit", "exit", "bye", "q"})

NO_AGENT: Final = (
    "who are you? Say --as NAME, set IPCBUS_AGENT, or say: register as NAME"
)


@click.command()
@click.argument("words", nargs=-1)
@member
def say(
    words: tuple[str, ...], network: str | None, agent: str | None, as_json: bool
) -> int:
    """Say in plain words what to do.

    WORDS are a sentence: tell bob the build is green; check my messages; who is
    online; reply: got it. Without any there is a prompt, a sentence a line, until quit
    or the end of input. `ipcbus say help` lists what can be said.

    Ends with 2 if the sentence is not sure; then nothing was done.
    """
    from ipcbus.doors.tools.desk import Desk

    networks = (network,) if network else ()
    with Desk(networks, agent or None, program="ipcbus say") as desk:
        if words:
            return _say(desk, " ".join(words), as_json=as_json)
        return _converse(desk, as_json=as_json)


# --- one sentence --------------------------------------------------------------


def _say(desk: Desk, sentence: str, *, as_json: bool) -> int:
    """Understand, do, tell; the exit code."""
    from ipcbus.doors.language import Unsure, parse

    _check_letters(sentence)
    understood = parse(sentence)
    if isinstance(understood, Unsure):
        return _ask_back(understood, as_json=as_json)
    return _do(desk, understood, as_json=as_json)


def _do(desk: Desk, intent: Intent, *, as_json: bool) -> int:
    from ipcbus.doors.cli import said
    from ipcbus.doors.language import Unsure

    answer = _answer(desk, intent)
    if isinstance(answer, Unsure):
        return _ask_back(answer, as_json=as_json)
    if intent.mended and not as_json:
        remark(f"understood as: {said.short(intent)}")
    found = {"understood": said.document(intent), "answer": answer}
    emit(found, lambda: said.lines(intent, answer), as_json=as_json)
    desk.confirm()
    return said.exit_code(intent, answer)


def _answer(desk: Desk, intent: Intent) -> dict[str, Any] | Unsure:
    """What came of it, by whoever can do that."""
    from ipcbus.doors.cli import said

    if intent.action == "help":
        return said.everything()
    if desk.agent is None and intent.action != "register":
        raise UsageError(reason=NO_AGENT)
    if intent.action.startswith("auto_"):
        return _auto(desk, intent)
    from ipcbus.doors.language.acting import carry_out

    return carry_out(desk, intent)


def _auto(desk: Desk, intent: Intent) -> dict[str, Any]:
    """Auto checking is for hooks to honour; no broker is needed to set it."""
    from ipcbus.doors.notice import auto
    from ipcbus.networks import find

    network, agent = find(desk.networks[0]), str(desk.agent)
    if intent.action == "auto_start":
        found: auto.Auto | None = auto.start(
            network, agent, intent.fields.get("seconds", 0.0)
        )
    elif intent.action == "auto_stop":
        found = auto.stop(network, agent)
    else:
        found = auto.read(network, agent)
    every_s = 0.0 if found is None else found.every_s
    return {"agent": agent, "network": network.name, "every_s": every_s}


def _ask_back(doubt: Unsure, *, as_json: bool) -> int:
    """Say what it could mean, and what to type; on stderr, as errors are."""
    from ipcbus.doors.cli import said

    if as_json:
        write(said.line({"error": said.of_doubt(doubt)}))
    else:
        for each in said.doubt_lines(doubt):
            remark(each)
    return UsageError.exit_code


def _check_letters(sentence: str) -> None:
    """What the shell handed over in another encoding cannot be sent as text."""
    try:
        sentence.encode()
    except UnicodeEncodeError as error:
        raise UsageError(reason="the sentence is not UTF-8") from error


# --- the prompt ------------------------------------------------------------------


def _converse(desk: Desk, *, as_json: bool) -> int:
    """A sentence a line. One that fails is told and no more; the exit code is that of
    the first that failed, for scripts that are read from a file."""
    first = 0
    for line in _lines(as_json=as_json):
        code = _try(desk, line, as_json=as_json)
        if code not in (0, NothingThere.exit_code):
            first = first or code
    return first


def _try(desk: Desk, line: bytes, *, as_json: bool) -> int:
    from ipcbus.doors.cli.failures import report

    try:
        if len(line) > LONGEST:
            raise BoundExceeded(bound="line", value=len(line), limit=LONGEST)
        return _say(desk, _decoded(line), as_json=as_json)
    except IpcbusError as error:
        return report(error, as_json=as_json)


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise UsageError(reason="the sentence is not UTF-8") from error


def _lines(*, as_json: bool) -> Iterator[bytes]:
    """What is typed, without empty lines, until somebody wants out."""
    if sys.stdin is None:
        raise UsageError(reason="stdin is closed, and say without words reads from it")
    asks = sys.stdin.isatty() and is_terminal() and not as_json
    while True:
        if asks:
            write("> ")
        line = sys.stdin.buffer.readline(LONGEST + 1)
        _skip_the_rest(line)
        if not line:
            break
        word = line.strip(b" \t\r\n.!").lower()
        if word.decode(errors="replace") in WAYS_OUT:
            return
        if word:
            yield line.rstrip(b"\r\n")
    if asks:
        write("\n")


def _skip_the_rest(line: bytes) -> None:
    """Of a line that is too long to be read at once."""
    while len(line) > LONGEST and not line.endswith(b"\n"):
        line = sys.stdin.buffer.readline(LONGEST + 1) or b"\n"
