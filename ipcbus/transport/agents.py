"""An agent in a supervisor's care: `ipcbus agent --config FILE --as NAME`.

It is given the file and its name, not what the file says of it, so that one that is
started again is as the file has it then. What it says comes as JSON, a document a line.

Unlike a broker it gets the whole environment of who started the supervisor: keys of
platforms stand there, and no list of ours could name those of every adapter.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ipcbus.config import AgentConfig
from ipcbus.errors import AdapterFailed, IpcbusError
from ipcbus.networks import Network
from ipcbus.protocol.address import fold
from ipcbus.transport.clients import ClientWard
from ipcbus.transport.restarts import Then
from ipcbus.transport.wards import BrokerWard, Note

Command = Callable[[AgentConfig], Sequence[str]]
"""What to run for an agent; tests put a stand-in here."""


def command(agent: AgentConfig) -> list[str]:
    """`-P` as for a bridge."""
    program = [sys.executable, "-P", "-m", "ipcbus", "agent", "--config"]
    who = ["--as", agent.name, "--network", agent.network]
    return [*program, str(agent.file), *who, "--json"]


class AgentWard(ClientWard):
    """An agent."""

    def __init__(
        self,
        agent: AgentConfig,
        served: Sequence[BrokerWard],
        command: Command,
        note: Note,
    ) -> None:
        super().__init__(agent.address, "agent", (agent.network,), served, note)
        self._agent = agent
        self._command = command

    def then(self, code: int) -> Then:
        """An adapter that cannot be had, a key that is refused: a person must mend it,
        and each try may cost money. An overload never ends an agent."""
        if code == AdapterFailed.exit_code:
            return Then.GIVE_UP
        return super().then(code)

    def _program(self) -> Sequence[str]:
        """A broker of the same file that dies is the supervisor's to start again."""
        return [*self._command(self._agent), *(["--no-start"] if self._served else [])]

    def _log_name(self, networks: Sequence[Network]) -> str:
        return f"agent-{fold(self._agent.name)}.log"

    def _environment(self, home: Network) -> dict[str, str]:
        """Programs that it starts find its network, and not who the supervisor is."""
        found = {**os.environ, **super()._environment(home)}
        found.pop("IPCBUS_AGENT", None)
        return {**found, "IPCBUS_NETWORK": self._agent.network}

    def _said(self, line: str) -> str:
        document = _object(line)
        error = document.get("error")
        if isinstance(error, dict):
            self.error = IpcbusError(reason=str(error.get("message", error)))
            return ""
        return str(document.get("said", line))


def _object(line: str) -> dict[str, Any]:
    """A package of others may print what it likes; that is no document."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
