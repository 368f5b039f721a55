"""A bridge in a supervisor's care: `ipcbus bridge A B`, a client of both networks.

A network that is served elsewhere it finds, or waits for, by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ipcbus.config import BridgeConfig
from ipcbus.networks import Network
from ipcbus.protocol.address import fold
from ipcbus.transport.clients import ClientWard
from ipcbus.transport.wards import BrokerWard, Note

Command = Callable[[BridgeConfig], Sequence[str]]
"""What to run for a bridge; tests put a stand-in here."""


def command(bridge: BridgeConfig) -> list[str]:
    """`-P`: never import from the folder that somebody happens to stand in.
    `--no-start`: a broker that dies is its supervisor's to start again."""
    program = [sys.executable, "-P", "-m", "ipcbus", "bridge", *bridge.between]
    program.append("--no-start")
    if bridge.rules is not None:
        program += ["--rules", str(bridge.rules)]
    return [*program, "--one-way"] if bridge.one_way else program


class BridgeWard(ClientWard):
    """A bridge."""

    def __init__(
        self,
        bridge: BridgeConfig,
        served: Sequence[BrokerWard],
        command: Command,
        note: Note,
    ) -> None:
        super().__init__(bridge.name, "bridge", bridge.between, served, note)
        self._bridge = bridge
        self._command = command

    def _program(self) -> Sequence[str]:
        return self._command(self._bridge)

    def _log_name(self, networks: Sequence[Network]) -> str:
        return f"bridge-{fold(networks[1].name)}.log"
