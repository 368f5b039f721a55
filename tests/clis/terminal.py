"""A program that believes that a person sits before it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clis.processes import END_S, Process

ROWS, COLUMNS = 50, 160

ANSWERS = {
    b"\x1b[6n": b"\x1b[1;1R",  # where is the cursor?
    b"\x1b[c": b"\x1b[?62c",  # what are you?
    b"\x1b[5n": b"\x1b[0n",  # are you well?
    b"\x1b]10;?\x1b\\": b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\",  # which colours?
    b"\x1b]11;?\x1b\\": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
    b"\x1b[?u": b"\x1b[?0u",  # which keyboard?
}
"""What a terminal answers to what programs ask it; some wait for it and then give up.

https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
"""

ESCAPE = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_=>])"
)


class Terminal(Process):
    """The program with a terminal of its own; what it draws is kept as it came."""

    def _start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None
    ) -> subprocess.Popen[bytes]:
        ours, theirs = pty.openpty()
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        # setsid makes the terminal the one that the program is controlled by.
        process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            env={**env, "TERM": "xterm-256color"},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._into = self._out_of = ours
        return process

    @property
    def said(self) -> str:
        """Its words in the order they came, without what moves and paints."""
        return " ".join(ESCAPE.sub(" ", super().said).split())

    def _piece(self) -> bytes:
        try:
            piece = os.read(self._out_of, 65_536)
        except OSError:  # nobody has the terminal open any more
            return b""
        for question, answer in ANSWERS.items():
            if question in piece:
                os.write(self._into, answer)
        return piece

    def _close(self) -> None:
        self._thread.join(END_S)
        os.close(self._into)
