"""A broker that gets no memory: `python starved_broker.py NETWORK TRIGGER PLACE`.

From the moment the file TRIGGER exists, the next batch that it hears of meets an
allocation that fails: while it is read (`inbox`), decided (`core`) or committed
(`store`).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipcbus.broker.state import Broker
from ipcbus.store.sqlite import SqliteStore
from ipcbus.transport import serve
from ipcbus.transport.inbox import Inbox

PLACES: dict[str, tuple[type, str]] = {
    "inbox": (Inbox, "read"),
    "core": (Broker, "handle"),
    "store": (SqliteStore, "commit"),
}


def main(network: str, trigger: str, place: str) -> int:
    kind, name = PLACES[place]
    setattr(kind, name, _starving(getattr(kind, name), Path(trigger)))
    return serve.main([network])


def _starving(method: Callable[..., Any], trigger: Path) -> Callable[..., Any]:
    def starve(*args: Any) -> Any:
        found = method(*args)
        if trigger.exists():
            raise MemoryError
        return found

    return starve


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    logging.shutdown()
    os._exit(code)
