"""The transcript of a demo, and one who acts in it by command lines alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import ipcbus.errors
from ipcbus.errors import IpcbusError

COMMAND_S: Final = 30.0
"""How long a command may take; one that waits is told to wait for less."""


class Proof(NamedTuple):
    """Something that must hold, whether it did, and the numbers."""

    claim: str
    held: bool
    counts: str


class Story:
    """The transcript: who said what, when, and what it proves."""

    def __init__(self, out: TextIO) -> None:
        self.proofs: list[Proof] = []
        self._out = out
        self._began = time.monotonic()
        self._coloured = out.isatty() and not os.environ.get("NO_COLOR")

    def title(self, text: str) -> None:
        self._out.write(f"\n{self._paint(text, 1)}\n")

    def tell(self, who: str, text: str) -> None:
        seconds = f"{time.monotonic() - self._began:7.3f} s"
        self._out.write(f"{self._paint(seconds, 2)}  {who:<7} {text}\n")
        self._out.flush()

    def command(self, who: str, args: Sequence[str]) -> str:
        """Show the command line `ipcbus ARGS --json`; returns ARGS as shown."""
        shown = " ".join(repr(arg) if " " in arg else arg for arg in args)
        self.tell(who, f"$ ipcbus {shown} --json")
        return shown

    def prove(self, claim: str, held: bool, counts: str) -> None:
        self.proofs.append(Proof(claim, held, counts))
        if not held:
            self.tell("", self._paint(f"THIS DID NOT HOLD: {claim}: {counts}", 31))

    def close(self) -> int:
        """List what was proved; the exit code."""
        self.title("What was proved")
        for claim, held, counts in self.proofs:
            mark = self._paint("yes", 32) if held else self._paint("NO ", 31)
            self._out.write(f"  {mark}  {claim}: {counts}\n")
        failed = sum(not proof.held for proof in self.proofs)
        seconds = time.monotonic() - self._began
        self._out.write(
            f"\n{len(self.proofs) - failed} of {len(self.proofs)} held, "
            f"in {seconds:.1f} s\n"
        )
        return 1 if failed or not self.proofs else 0

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text


class Shell:
    """An agent that knows nothing but the command line."""

    def __init__(self, story: Story, name: str, network: str = "") -> None:
        self._story = story
        self._name = name
        # The code that runs here, also if it is a checkout that is not installed.
        code = str(Path(ipcbus.errors.__file__).parent.parent)
        who = {"IPCBUS_AGENT": name, "IPCBUS_NETWORK": network} if network else {}
        self.env = {**os.environ, "PYTHONPATH": code, **who}

    def run(self, *args: str) -> Any:
        """Carry out `ipcbus ARGS --json`: its document. Raises if it fails."""
        shown = self._story.command(self._name, args)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ipcbus", *args, "--json"],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
        if done.returncode:
            said = done.stdout.decode(errors="replace").strip()
            raise IpcbusError(reason=f"{shown}: exit code {done.returncode}: {said}")
        return json.loads(done.stdout)

    def read(self, *args: str) -> dict[str, Any]:
        """The one message that a reading command prints."""
        messages = self.run(*args)["messages"]
        if len(messages) != 1:
            raise IpcbusError(reason=f"{len(messages)} messages where 1 was sent")
        message: dict[str, Any] = messages[0]
        self._story.tell(self._name, f"< {message['from']}: {message['body']!r}")
        return message
