"""A broker process: `python -m ipcbus.transport.serve NETWORK`.

The order is what makes it safe (R35): the folder is checked, then the lock taken,
then the store opened under a new epoch, then the gate tested, then the port bound,
and only then is anyone told. At the end the same backwards, the lock last.

On stdout it says one line of JSON, `launch.ready_line`: who it is once it can be
connected to, or why it cannot serve. Then stdout is closed. Its log is stderr: one
line for each notable event; no secrets and no bodies.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Final

from ipcbus import cores, networks
from ipcbus.broker.settings import Settings
from ipcbus.broker.state import Broker
from ipcbus.errors import (
    Fenced,
    IpcbusError,
    OutOfMemory,
    StaleFile,
    StoreFailed,
    UsageError,
)
from ipcbus.networks import MEMORY, VOLATILE, BrokerInfo, Network, this_broker
from ipcbus.protocol.calls import Role
from ipcbus.store.base import Store
from ipcbus.store.records import AgentKey, Snapshot
from ipcbus.store.sqlite import SqliteStore
from ipcbus.transport import keys, launch
from ipcbus.transport.clock import Clock
from ipcbus.transport.runner import Life, Runner
from ipcbus.transport.sockets import Sockets
from ipcbus.transport.wake import Waker

WANTED_FILES: Final = 65_536
"""Descriptors a broker wants: one for each connection (R11)."""

SPARE_FILES: Final = 256
"""Descriptors kept from connections: the store's, libzmq's, a backup's."""

FAREWELL_MS: Final = 250
"""Milliseconds for the last words to leave at a clean stop."""

_log = logging.getLogger("ipcbus.broker")


def run(network: Network, *, ready: Callable[[BrokerInfo], None]) -> int:
    """Serve `network` until SIGTERM, SIGINT or an operator's `shutdown`; returns 0.

    `ready` is told once clients can connect, and again after a new epoch. Raises
    `CannotServe` and its kind, and MemoryError; after that, `StoreFailed` and `Fenced`
    the process must end without touching the store.
    """
    os.umask(0o077)
    cores.forbid()
    lock = network.lock()
    try:
        _serve(network, ready)
    finally:
        os.close(lock)
    return 0


def _serve(network: Network, ready: Callable[[BrokerInfo], None]) -> None:
    saved = network.saved()
    if saved.remote is not None:
        raise UsageError(
            reason=f"{network.name} is served by another machine, at {saved.remote}"
        )
    networks.check_saved(saved)
    settings = _settings(network, saved)
    server = None if saved.plain else keys.create(network.server_key)
    operator = keys.create(network.operator_key).public

    make_store = _stores(network, saved, settings)

    def begin() -> Life:
        return _begin(make_store(), network, settings, operator)

    sockets = Sockets(network.name, server, _raise_files() - SPARE_FILES)
    waker = Waker()
    store: Store | None = None
    try:
        life = begin()
        store = life.store

        def announce(life: Life) -> None:
            _announce(network, saved, life, endpoint, server, ready)

        runner = Runner(network.name, sockets, waker, life, begin, announce)
        endpoint = sockets.front.bind(saved.host, saved.port)
        _keep_port(network, saved, endpoint)
        waker.listen()
        announce(life)
        runner.run()
        network.remove_broker_info()
    except (StoreFailed, Fenced, MemoryError):
        raise
    except BaseException:
        if store is not None:
            store.close()
        raise
    finally:
        waker.close()
        sockets.close(FAREWELL_MS)
    _log.info("stopped")


def _stores(
    network: Network, saved: networks.Saved, settings: Settings
) -> Callable[[], Store]:
    """Makes the store of an epoch. A volatile one has the memory of the one before it:
    what was accepted is still there after starting over."""

    def on_disk(store_bytes: int) -> SqliteStore:
        return SqliteStore(
            network.database,
            network=network.name,
            ballast=network.ballast,
            store_bytes=store_bytes,
        )

    if saved.store != MEMORY:
        return lambda: on_disk(settings.store_bytes)
    # Here and not above: a takeover of a durable network shall not wait for it.
    from ipcbus.transport.volatile import VolatileStore, memory_for

    memory = memory_for(network.name, settings.store_bytes)
    return lambda: VolatileStore(on_disk(0), memory, network.name)


def _begin(store: Store, network: Network, settings: Settings, operator: str) -> Life:
    """Take the store over and make a core from it."""
    snapshot = store.open()
    try:
        clock = Clock(snapshot.last_wall)
        _register(store, snapshot, operator, clock.now().wall)
        core = Broker(network.name, settings, store, snapshot)
    except BaseException:
        store.close()
        raise
    return Life(snapshot.epoch, store, core, clock, settings.history_ms)


def _register(store: Store, snapshot: Snapshot, operator: str, wall: int) -> None:
    """Make the operator's key known to a new store."""
    if any(known.key == operator for known in snapshot.keys):
        return
    key = AgentKey(operator, 0, Role.OPERATOR.value, wall, 0, 0)
    store.begin()
    store.registry.put_key(key)
    store.commit()
    snapshot.keys.append(key)


def _settings(network: Network, saved: networks.Saved) -> Settings:
    try:
        return Settings(**saved.settings)
    except TypeError as error:
        raise StaleFile(
            path=str(network.folder / "network.json"),
            reason=f"its settings are not all known: {error}",
            mend="correct or remove them",
        ) from error


def _keep_port(network: Network, saved: networks.Saved, endpoint: str) -> None:
    """The next broker shall take the same port: clients look for it there first."""
    port = int(endpoint.rpartition(":")[2])
    if saved.port != port:
        network.save(saved._replace(port=port))


def _announce(
    network: Network,
    saved: networks.Saved,
    life: Life,
    endpoint: str,
    server: keys.KeyPair | None,
    ready: Callable[[BrokerInfo], None],
) -> None:
    info = this_broker(
        network.name,
        endpoint,
        server.public if server else "",
        life.epoch,
        plain=server is None,
        store=saved.store,
    )
    network.write_broker_info(info)
    _log.info("serving %s, epoch %d, pid %d", endpoint, life.epoch, info.pid)
    if saved.store == MEMORY:
        _log.info(VOLATILE)
        if life.store.facts()["unseen"]:
            _log.warning("settled messages on disk are not shown until it is durable")
    ready(info)


def _raise_files() -> int:
    """As many descriptors as we may have; returns how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = WANTED_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < WANTED_FILES:
        _log.warning("only %d descriptors (ulimit -Hn); %d wanted", hard, WANTED_FILES)
    return hard


# --- the process ---------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Serve the network named in `arguments`; the exit code."""
    name = arguments[0] if len(arguments) == 1 else ""
    configure_log(name or "ipcbus")
    stdout = _Stdout()
    try:
        if not name:
            raise UsageError(reason="usage: python -m ipcbus.transport.serve NETWORK")
        return run(networks.find(name), ready=stdout.ready)
    except IpcbusError as error:
        problem = error
    except MemoryError:  # with it goes what its frames held, and there is room to speak
        problem = OutOfMemory(network=name)
    _log.error("%s", problem)
    stdout.say(launch.ready_line(problem))
    return problem.exit_code


def configure_log(name: str) -> None:
    """Log to stderr: time in UTC, network, text."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter(
        f"%(asctime)s {name}: %(message)s", "%Y-%m-%dT%H:%M:%SZ"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(logging.INFO)


class _Stdout:
    """Says one line, and then never anything again."""

    def __init__(self) -> None:
        self._said = False

    def ready(self, info: BrokerInfo) -> None:
        self.say(launch.ready_line(info))

    def say(self, line: bytes) -> None:
        if self._said:
            return
        self._said = True
        try:
            os.write(1, line)
        except OSError:
            _log.warning("whoever started this broker has not waited for it")
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    # Without the interpreter's own end: after a failure of the disk no destructor
    # may write to it, and otherwise all is closed.
    os._exit(code)
