"""Clients of networks in a supervisor's care: bridges and agents.

A client stores nothing, so it may be ended and started again at any time. It is started
when those of its networks that the same supervisor serves can be connected to, lest it
starts a broker itself. What it says on stdout is passed on; its stderr is a log in the
folder of the first of its networks.
"""

from __future__ import annotations

import os
import subprocess
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from ipcbus.errors import IpcbusError, NoBroker, NoNetwork
from ipcbus.networks import Network, find
from ipcbus.transport import launch
from ipcbus.transport.environment import environment
from ipcbus.transport.restarts import Then
from ipcbus.transport.wards import BeforeExec, BrokerWard, Note, Ward, how

LAST_WORDS: Final = 4096
"""Bytes of its log in which the sentence of its end is looked for."""

_SAYS: Final = "ipcbus: "
"""How the sentence begins that tells why a command failed."""


class ClientWard(Ward):
    """A client. Its first line says that it works.

    Args:
        kind: what it is, for people.
        served: those of its networks that the same supervisor serves.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        networks: Sequence[str],
        served: Sequence[BrokerWard],
        note: Note,
    ) -> None:
        super().__init__(name)
        self._kind = kind
        self._networks = networks
        self._served = served
        self._note = note
        self._rest = b""
        self._log: Path | None = None
        self._log_from = 0

    # --- what differs ------------------------------------------------------

    @abstractmethod
    def _program(self) -> Sequence[str]:
        """What to run."""

    @abstractmethod
    def _log_name(self, networks: Sequence[Network]) -> str:
        """Its log, in the folder of logs of the first of its networks."""

    def _environment(self, home: Network) -> dict[str, str]:
        return environment(home, os.environ)

    def _said(self, line: str) -> str:
        """What a line of its stdout tells people; empty for nothing."""
        return line

    # --- a ward ------------------------------------------------------------

    @property
    def is_needed(self) -> bool:
        """Whether it is a reason to go on: not when all that it is of here is over."""
        if self.is_over:
            return False
        return not self._served or not all(each.is_over for each in self._served)

    def spawn(self, before_exec: BeforeExec) -> subprocess.Popen[bytes]:
        self._rest, self._log = b"", None
        networks = [self._find(name) for name in self._networks]
        log = networks[0].folder / "log" / self._log_name(networks)
        with _open(log) as stream:
            self._log, self._log_from = log, stream.tell()
            try:
                return subprocess.Popen(
                    list(self._program()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    cwd="/",
                    env=self._environment(networks[0]),
                    start_new_session=True,  # as for a broker
                    preexec_fn=before_exec,
                )
            except OSError as error:
                reason = f"no process: {error.strerror}"
                raise IpcbusError(reason=reason) from error

    def hear(self, said: bytes, now: float) -> bool:
        *lines, self._rest = (self._rest + said).split(b"\n")
        if self._rest and (not said or len(self._rest) > launch.MAX_LINE):
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            text = self._said(line.decode("utf-8", "replace"))
            if text and self.ready_at is None:
                self.ready_at = now
            if text:
                self._note(self.name, text)
        return bool(said)

    def why(self, code: int) -> str:
        if self.error is not None:
            return str(self.error)
        words = self._last_words()
        if code > 1 and words:
            return words
        said = f": {words}" if words else ""
        return f"the {self._kind} ended ({how(code)}){said}; see {self._log}"

    def then(self, code: int) -> Then:
        """Nobody has a client's place: it may run twice. So there is no waiting."""
        what = super().then(code)
        return Then.AGAIN if what is Then.WAIT else what

    def is_held(self) -> bool:
        return not all(each.is_served for each in self._served)

    def lost(self) -> str | None:
        for each in self._served:
            if each.is_over:
                return f"not started: {each.name} is not served any more"
        return None

    def _find(self, name: str) -> Network:
        try:
            return find(name)
        except NoNetwork as error:
            raise NoBroker(
                network=name,
                reason=f"it is not in the configuration, and {error.reason}; "
                "join it with an invitation: ipcbus join-network",
            ) from error

    def _last_words(self) -> str:
        """The sentence of its end, or else the last line that it wrote to its log."""
        assert self._log is not None, "it was started"
        try:
            with self._log.open("rb") as stream:
                end = stream.seek(0, os.SEEK_END)
                stream.seek(max(self._log_from, end - LAST_WORDS))
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            return ""  # it was moved away: then the exit code must do
        lines = [line for line in text.splitlines() if line.strip()]
        told = [line for line in lines if line.startswith(_SAYS)]
        return (told or lines or [""])[-1].removeprefix(_SAYS)


def _open(log: Path) -> BinaryIO:
    try:
        if log.exists() and log.stat().st_size > launch.MAX_LOG:
            log.rename(log.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        stream = os.fdopen(os.open(log, flags, 0o600), "ab")
    except OSError as error:
        reason = f"{log} cannot be opened: {error.strerror}"
        raise IpcbusError(reason=reason) from error
    stream.seek(0, os.SEEK_END)
    return stream
