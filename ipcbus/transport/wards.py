"""What a supervisor looks after: processes that serve networks, and their clients.

A ward knows how its process is started, what it says and what its end means. When that
is done, and what follows, is decided by the supervisor, for all of them alike.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from signal import Signals

from ipcbus.errors import IpcbusError, PortInUse
from ipcbus.networks import BrokerInfo, Network, Saved
from ipcbus.transport import launch, restarts
from ipcbus.transport.restarts import Then

Ready = Callable[[BrokerInfo], None]
"""Told of each broker that can be connected to."""

Note = Callable[[str, str], None]
"""Told (network, bridge or agent, sentence) of all that a person may want to see."""

BeforeExec = Callable[[], None]


class Ward(ABC):
    """A process in the supervisor's care.

    Exactly one of: `process` is set (a child runs), `due` is set (one will be started
    then), neither (it is over, and `code` is the exit code that it left, 0 for none).

    Attributes:
        failures: ends in a row since it last ran steadily.
        ready_at: when the child of now had said that it works; None if it has not.
        waits: until another process that has its place ends.
        error: what keeps it from running, if it said so.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = 0.0
        self.code = 0
        self.failures = 0
        self.ready_at: float | None = None
        self.waits = False
        self.error: IpcbusError | None = None

    @property
    def is_over(self) -> bool:
        return self.process is None and self.due is None

    def begin(self) -> None:
        """A child will be started now: what was of the last one is forgotten."""
        self.due, self.waits = None, False
        self.ready_at, self.error = None, None

    @abstractmethod
    def spawn(self, before_exec: BeforeExec) -> subprocess.Popen[bytes]:
        """Start the child, its stdout a pipe. Raises `IpcbusError`."""

    @abstractmethod
    def hear(self, said: bytes, now: float) -> bool:
        """Take in what the child says, b"" at the end; whether to go on listening."""

    @abstractmethod
    def why(self, code: int) -> str:
        """Why the child ended, with exit code `code`."""

    def then(self, code: int) -> Then:
        """What follows exit code `code`, after `failures` in a row."""
        return restarts.then(code, self.failures)

    def again(self, code: int) -> None:  # noqa: B027 - mostly there is nothing
        """It will be started again: mend what can be mended."""

    def is_held(self) -> bool:
        """Whether others must be there first; that they are is seen at each turn."""
        return False

    def is_taken(self) -> bool:
        """Whether another process has its place; looked at while it `waits`."""
        return False

    def lost(self) -> str | None:
        """Why it shall not be started any more, if so."""
        return None


class BrokerWard(Ward):
    """The broker of a network. Its first line says that it works, or why not."""

    def __init__(
        self, network: Network, wanted: Saved, command: launch.Command, ready: Ready
    ) -> None:
        super().__init__(network.name)
        self.network = network
        self._wanted = wanted
        self._command = command
        self._ready = ready
        self._line = b""

    @property
    def is_served(self) -> bool:
        """Whether a client of the network finds a broker, of ours or another."""
        return self.waits or (self.process is not None and self.ready_at is not None)

    def spawn(self, before_exec: BeforeExec) -> subprocess.Popen[bytes]:
        self._line = b""
        return launch.spawn(
            self.network,
            command=self._command,
            # Of its own session: Ctrl-C is for the supervisor, which passes it on.
            detached=True,
            before_exec=before_exec,
        )

    def hear(self, said: bytes, now: float) -> bool:
        self._line += said
        if said and not self._line.endswith(b"\n"):
            return True
        try:
            info = launch.said(self.network, self._line)
        except IpcbusError as error:
            self.error = error
        else:
            self.ready_at = now
            self._ready(info)
        return False

    def why(self, code: int) -> str:
        return str(self.error) if self.error else self._ending(code)

    def again(self, code: int) -> None:
        if code == PortInUse.exit_code and not self._wanted.port:
            self.network.save(self._wanted)  # any port will do, not just the last

    def is_taken(self) -> bool:
        return self.network.is_served()

    def _ending(self, code: int) -> str:
        return f"the broker ended ({how(code)}); see {self.network.log}"


def how(code: int) -> str:
    """Exit code `code` in words; a negative one is a signal."""
    return f"killed by {Signals(-code).name}" if code < 0 else f"exit code {code}"
