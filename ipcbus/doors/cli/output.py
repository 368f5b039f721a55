"""Writing to stdout: JSON for programs, text for people, nothing that could harm.

What peers wrote is data: it goes through `doors.text` before a terminal sees it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from ipcbus.doors.text import safe_line
from ipcbus.errors import IpcbusError

# --- stdout ------------------------------------------------------------------


def prepare_stdout() -> None:
    """A letter that the terminal's encoding lacks is no reason to fail.

    Descriptors 0 to 2 that were closed are filled, or the next file or socket that is
    opened would become stdout; that it is closed still shows in `sys.stdout`.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(fd)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Write and flush: when this returns, the text has left the process.

    Raises `IpcbusError` if it could not, and `BrokenPipeError` if its reader has gone.
    """
    if sys.stdout is None:
        raise IpcbusError(reason="stdout is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        abandon_stdout()
        raise IpcbusError(reason=f"cannot write to stdout: {error}") from error


def flush() -> None:
    """What click wrote itself (help, version) is still buffered."""
    if sys.stdout is not None:
        write("")


def remark(text: str) -> None:
    """A line on stderr, for people, beside what the command says."""
    if sys.stderr is not None:
        print(f"ipcbus: {text}", file=sys.stderr, flush=True)  # noqa: T201


def end_line() -> None:
    """After the ^C that a terminal shows."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(file=sys.stderr)  # noqa: T201


def abandon_stdout() -> None:
    """Nothing more can be written; keep Python from trying again when it exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def to_json(document: Any, indent: int | None = None) -> str:
    """One line, or indented for a person. All but ASCII is escaped: see above."""
    if indent is None and is_terminal():
        indent = 2
    return json.dumps(document, indent=indent, default=str)


def emit(document: Any, human: Callable[[], Iterable[str]], *, as_json: bool) -> None:
    """Write the one document of a command, or its lines for people."""
    if as_json:
        write(to_json(document) + "\n")
    else:
        write("".join(f"{line}\n" for line in human()))


# --- for people --------------------------------------------------------------


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def line_room(indent: int) -> int | None:
    """Columns left on a line of the terminal; None if stdout is none."""
    if not is_terminal():
        return None
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        columns = 80
    return max((columns or 80) - indent, 20)


def coloured() -> bool:
    """Colour on a terminal only, and not if https://no-color.org is asked for."""
    return (
        is_terminal()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


_CODES: Final = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


def paint(text: str, style: str) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if coloured() else text


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    """Aligned columns; each cell is made safe, for names come from peers too."""
    cells = [[safe_line(str(cell)) for cell in row] for row in rows]
    widths = [
        max(len(title), *(len(row[column]) for row in cells)) if cells else len(title)
        for column, title in enumerate(titles)
    ]

    def line(row: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return "  ".join(padded).rstrip()

    yield paint(line(titles), "dim")
    for row in cells:
        yield line(row)


def pairs(facts: Mapping[str, Any], indent: str = "") -> Iterable[str]:
    """A map as lines `name  value`; maps within it are indented."""
    width = max((len(str(key)) for key in facts), default=0)
    for key, value in facts.items():
        name = safe_line(str(key))
        if isinstance(value, Mapping):
            yield f"{indent}{name}"
            yield from pairs(value, indent + "  ")
        else:
            yield f"{indent}{name:<{width}}  {safe_line(str(value))}"
