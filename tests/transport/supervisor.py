"""Supervises stand-ins: `python supervisor.py GRACE NAME=HOW,HOW... ...`

A NAME is that of a network, `BRIDGE:A+B` for a bridge between two, or `AGENT@NETWORK`.
Each HOW is what `standin.py`, `bridge_standin.py` or `agent_standin.py` is told at one
start, or "real" for the broker itself; the last one is for all later starts. Says one
line of JSON for each broker that is ready and for each note.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ipcbus.config import AgentConfig, BridgeConfig, Config, NetworkConfig
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch, supervise

HERE = Path(__file__).parent


def main(grace: str, *plans: str) -> int:
    hows = {name: how.split(",") for name, _, how in (p.partition("=") for p in plans)}

    def next_of(key: str) -> str:
        plan = hows[key]
        return plan.pop(0) if len(plan) > 1 else plan[0]

    def command(network: Network) -> Sequence[str]:
        how = next_of(network.name)
        if how == "real":
            return launch.command(network)
        return [sys.executable, str(HERE / "standin.py"), how, network.name]

    def bridge_command(bridge: BridgeConfig) -> Sequence[str]:
        how = next_of(f"{bridge.name}:{'+'.join(bridge.between)}")
        return [sys.executable, str(HERE / "bridge_standin.py"), how, bridge.name]

    def agent_command(agent: AgentConfig) -> Sequence[str]:
        how = next_of(agent.address)
        return [sys.executable, str(HERE / "agent_standin.py"), how, agent.name]

    networks = [name for name in hows if not {":", "@"} & {*name}]
    return supervise.run(
        Config(
            {name: NetworkConfig(name) for name in networks},
            dict(map(_bridge, (name for name in hows if ":" in name))),
            {name: _agent(name) for name in hows if "@" in name},
        ),
        _ready,
        _note,
        command=command,
        bridge_command=bridge_command,
        agent_command=agent_command,
        grace_s=float(grace),
    )


def _bridge(key: str) -> tuple[str, BridgeConfig]:
    name, _, between = key.partition(":")
    first, _, second = between.partition("+")
    return name, BridgeConfig(name, (first, second))


def _agent(key: str) -> AgentConfig:
    name, _, network = key.partition("@")
    return AgentConfig(name, network, "echo")


def _ready(info: BrokerInfo) -> None:
    _say({"ready": info.network, "pid": info.pid})


def _note(name: str, sentence: str) -> None:
    _say({"note": name, "says": sentence})


def _say(value: dict[str, str | int]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
