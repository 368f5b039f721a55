"""Where the broker of a network is, now."""

from __future__ import annotations

from ipcbus.errors import NoBroker
from ipcbus.networks import Network
from ipcbus.transport.dealer import Target


class Route:
    """Finds the broker of `network`; with `start` it may start one on this machine,
    and waits for it up to `wait_s` seconds."""

    def __init__(self, network: Network, *, start: bool, wait_s: float = 15.0) -> None:
        saved = network.saved()
        self.network = network
        self._remote: Target | None = None
        if saved.remote is not None:
            self._remote = Target(network.name, saved.remote, saved.server_key)
        self._start = start
        self._wait_s = wait_s

    @property
    def is_local(self) -> bool:
        return self._remote is None

    def find(self, failures: int, *, needed: bool = True) -> Target:
        """Who serves now, after `failures` tries in a row that came to nothing.

        Looked up each time: a successor may have another port. broker.json is
        believed at first, as that is all a connected client's way back needs; when
        nobody is there, the lock says whether somebody serves.

        One that was killed leaves its broker.json, and is replaced at once. One that
        was stopped takes it away: then another is started only if it is `needed`, or
        nobody could ever stop a broker that has idle clients.

        May take as long as a broker takes to start. Raises `NoBroker`, or what kept
        a broker from starting.
        """
        if self._remote is not None:
            return self._remote
        network = self.network
        info = network.broker_info()
        if info is None or failures:
            if self._start and (needed or info is not None):
                from ipcbus.transport import launch  # 10 ms that most never pay

                info = launch.ensure(network, wait_s=self._wait_s, needed=needed)
            elif info is None or not network.is_served():
                start = f"start one with: ipcbus up --network {network.name}"
                raise NoBroker(
                    network=network.name, reason=network.why_unknown() or start
                )
        key = None if info.plain else info.server_key
        return Target(network.name, info.endpoint, key)
