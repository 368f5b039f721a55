"""The bridge of a demo: `ipcbus bridge dev prod`, as a process that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Event, Thread
from typing import IO, Final

from ipcbus.doors.demo.story import Shell, Story
from ipcbus.errors import TimedOut

RULE: Final = "carol@dev -> *@prod"
"""What it refuses; with nothing else said, it carries what agents write to agents."""

WORKS_S: Final = 20.0
END_S: Final = 10.0
"""How long it may take until it works, and until it has ended."""

_TOLD: Final = ("running", "backoff", "refuses", "carries")
"""Words of its lines that the transcript shows: what it will do, and how it is."""


class Bridge:
    """Runs in the foreground of nobody: what it says goes into the transcript."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._process: subprocess.Popen[bytes] | None = None
        self._listener = Thread()
        self._works = Event()

    def works(self) -> bool:
        """Whether both of its links carry, as far as it has said."""
        return self._works.is_set()

    def start(self) -> None:
        """Start it, unless it runs; it works when this returns."""
        if self._process is not None:
            return
        command = ["bridge", "dev", "prod", "--deny", RULE]
        self._story.command("you", command)
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ipcbus", *command, "--json"],
            env=Shell(self._story, "you").env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        self._listener = Thread(target=self._listen, args=(process.stdout,))
        self._listener.start()
        if not self._works.wait(WORKS_S):
            raise TimedOut(what="the bridge", seconds=WORKS_S)

    def _listen(self, lines: IO[bytes]) -> None:
        """Tell what it says, until it has ended."""
        running: set[str] = set()
        with lines:
            for line in lines:
                link, _, said = json.loads(line)["said"].partition(": ")
                if any(word in said for word in _TOLD):
                    self._story.tell("bridge", f"{link}: {said}")
                if said == "running":
                    running.add(link)
                elif said.startswith("backoff"):
                    running.discard(link)
                if len(running) == 2:
                    self._works.set()
                else:
                    self._works.clear()

    def kill(self) -> None:
        """SIGKILL: it has no say in it."""
        assert self._process is not None
        self._process.kill()
        self._story.tell("", f"kill -9 {self._process.pid}, the bridge")
        self._bury()

    def end(self) -> None:
        """End it as a service manager does, if it runs."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._bury()

    def _bury(self) -> None:
        assert self._process is not None
        self._process.wait()
        self._listener.join()
        self._works.clear()
        self._process = None
