"""Supervises stand-ins: `python supervisor.py GRACE NAME=HOW,HOW... ...`

Each HOW is what `standin.py` is told at one start, or "real" for the broker itself;
the last one is for all later starts. Says one line of JSON for each broker that is
ready and for each note.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ipcbus.config import Config, NetworkConfig
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch, supervise

STANDIN = Path(__file__).parent / "standin.py"


def main(grace: str, *plans: str) -> int:
    hows = {name: how.split(",") for name, _, how in (p.partition("=") for p in plans)}

    def command(network: Network) -> Sequence[str]:
        plan = hows[network.name]
        how = plan.pop(0) if len(plan) > 1 else plan[0]
        if how == "real":
            return launch.command(network)
        return [sys.executable, str(STANDIN), how, network.name]

    config = Config({name: NetworkConfig(name) for name in hows})
    return supervise.run(config, _ready, _note, command=command, grace_s=float(grace))


def _ready(info: BrokerInfo) -> None:
    _say({"ready": info.network, "pid": info.pid})


def _note(network: str, sentence: str) -> None:
    _say({"note": network, "says": sentence})


def _say(value: dict[str, str | int]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
