"""What is written about a network: how it shall be served, and who serves it.

`Saved` (network.json) is the operator's choice and outlives every broker, so that
a broker started by any client is the one that was configured. `BrokerInfo`
(broker.json) is information about the broker of the moment and proves nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ipcbus.errors import UsageError
from ipcbus.networks import process

LOOPBACK: Final = "127.0.0.1"

DURABLE: Final = "durable"
MEMORY: Final = "memory"
STORES: Final = (DURABLE, MEMORY)
"""Where a broker keeps messages: on disk, or in its own memory alone."""

VOLATILE: Final = "volatile: messages are lost when the broker ends"
"""How a network with store `memory` is told of, wherever it is."""

_KEY: Final = re.compile(r"[0-9a-f]{64}\Z")
_ENDPOINT: Final = re.compile(r"tcp://[!-~]+:[0-9]{1,5}\Z")
_PIDS: Final = range(1, 2**31)
_EPOCHS: Final = range(2**63)


class Saved(NamedTuple):
    """How a network is served, or where a joined one is.

    Attributes:
        port: TCP port; 0 for any free one.
        plain: no encryption and no proof of identity; on loopback only.
        store: one of `STORES`. Names and keys are on disk either way.
        remote: "tcp://host:port" of a network that another machine serves.
        server_key: its public key in hex; only with `remote`.
        settings: fields of `broker.settings.Settings` that are not the default.
    """

    host: str = LOOPBACK
    port: int = 0
    plain: bool = False
    remote: str | None = None
    server_key: str | None = None
    settings: Mapping[str, Any] = {}
    store: str = DURABLE


class BrokerInfo(NamedTuple):
    """Who serves a network.

    Attributes:
        endpoint: "tcp://host:port", with the port that was really bound.
        server_key: public key in hex; "" in plain mode.
        epoch: raised by each takeover.
        started: when `pid` started, as `process.started` says; not a date.
        store: one of `STORES`; what it was told when it started.
    """

    network: str
    endpoint: str
    pid: int
    server_key: str
    epoch: int
    boot_id: str
    started: int
    plain: bool
    store: str = DURABLE

    def is_alive(self) -> bool:
        """Whether that very process still runs, as our user, in our view of /proc.

        False does not prove the opposite: it may live in another container.
        """
        return process.is_same(self.pid, self.started, self.boot_id)


def this_broker(
    network: str,
    endpoint: str,
    server_key: str,
    epoch: int,
    *,
    plain: bool,
    store: str = DURABLE,
) -> BrokerInfo:
    """The `BrokerInfo` of the process that calls."""
    pid = os.getpid()
    start = process.started(pid)
    assert start is not None, "we are running"
    boot = process.boot_id()
    return BrokerInfo(
        network, endpoint, pid, server_key, epoch, boot, start, plain, store
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; a name other than localhost can't."""
    return host in ("localhost", "::1") or (
        host.startswith("127.") and host.replace(".", "").isdigit()
    )


def check_saved(saved: Saved) -> None:
    """Raises `UsageError` for what must not be served."""
    if saved.plain and saved.remote is None and not is_loopback(saved.host):
        raise UsageError(
            reason=f"a plain network would be open to all who reach {saved.host}; "
            f"use host {LOOPBACK}, or leave plain out"
        )
    if not 0 <= saved.port <= 65535:
        raise UsageError(reason=f"port {saved.port} is not one of 0 to 65535")
    if saved.store not in STORES:
        raise UsageError(reason=f"store {saved.store} is not {' or '.join(STORES)}")


def saved_from(value: Mapping[str, Any]) -> Saved:
    """Raises `ValueError` naming the field. Unknown fields are a newer version's."""
    saved = Saved(
        host=_field(value, "host", str, LOOPBACK),
        port=_field(value, "port", int, 0),
        plain=_field(value, "plain", bool, False),
        remote=_field(value, "remote", str, None),
        server_key=_field(value, "server_key", str, None),
        settings=_field(value, "settings", dict, {}),
        store=_field(value, "store", str, DURABLE),
    )
    if saved.remote is not None and not _KEY.match(saved.server_key or ""):
        raise ValueError("server_key is not 64 hex digits")
    if saved.remote is not None and not _ENDPOINT.match(saved.remote):
        raise ValueError("remote is not tcp://HOST:PORT")
    return saved


def info_from(value: Mapping[str, Any]) -> BrokerInfo:
    """Raises `ValueError` naming the field."""
    info = BrokerInfo(
        network=_field(value, "network", str),
        endpoint=_field(value, "endpoint", str),
        pid=_field(value, "pid", int),
        server_key=_field(value, "server_key", str),
        epoch=_field(value, "epoch", int),
        boot_id=_field(value, "boot_id", str),
        started=_field(value, "started", int),
        plain=_field(value, "plain", bool),
        store=_field(value, "store", str, DURABLE),
    )
    if not info.plain and not _KEY.match(info.server_key):
        raise ValueError("server_key is not 64 hex digits")
    if not _ENDPOINT.match(info.endpoint):
        raise ValueError("endpoint is not tcp://HOST:PORT")
    if info.pid not in _PIDS or info.epoch not in _EPOCHS:
        raise ValueError("pid or epoch is none")
    return info


_MISSING: Final = object()


def _field(
    value: Mapping[str, Any], name: str, kind: type, default: Any = _MISSING
) -> Any:
    found = value.get(name, default)
    if found is _MISSING:
        raise ValueError(f"{name} is missing")
    if found is not default and type(found) is not kind:
        raise ValueError(f"{name} must be of type {kind.__name__}")
    return found
