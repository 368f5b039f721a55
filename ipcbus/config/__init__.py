"""Configuration files: YAML in, frozen dataclasses out.

    networks:
      dev:
        port: 9876
        settings:
          history: 7d
          store_bytes: 512MiB
      scratch:            # any free port, this machine alone
        store: memory     # messages are lost when its broker ends
    bridges:
      dev-scratch:
        between: [dev, scratch]
    agents:
      parrot:
        network: dev
        adapter: echo
    prices: prices.yaml # what models cost (`prices`)

An error names the file, the path in it (networks.dev.port) with its line, what is
wrong, and what is allowed.

`ipcbus config schema` prints `schema()`, which editors use to complete and check.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipcbus.broker.settings import Settings
from ipcbus.config import agents, bridges
from ipcbus.config.agents import AgentConfig, SharedLimits
from ipcbus.config.bridges import BridgeConfig
from ipcbus.config.kinds import FILE, FLAG, HOST, PORT, Choice, Kind
from ipcbus.config.reading import (
    NAME,
    Place,
    an_object,
    file,
    mapping,
    named,
    values,
)
from ipcbus.config.settings import FIELDS, KINDS, checked, overrides, settings_from
from ipcbus.protocol.address import fold

if TYPE_CHECKING:
    from ipcbus.config.document import Item

__all__ = [
    "AgentConfig",
    "BridgeConfig",
    "Config",
    "NetworkConfig",
    "SharedLimits",
    "dump",
    "load",
    "overrides",
    "schema",
    "settings_from",
    "to_dict",
]

_SECTIONS: Final = ("networks", "bridges", "agents")
_TOP: Final[Mapping[str, Kind]] = {"prices": FILE}
_SOME: Final = {"type": "object", "minProperties": 1}
LOOPBACK: Final = "127.0.0.1"
DURABLE: Final = "durable"
MEMORY: Final = "memory"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """One network to serve.

    Attributes:
        port: TCP port; 0 for any free one.
        plain: no encryption and no proof of identity; on loopback only.
        store: `durable` keeps messages on disk, `memory` in the broker alone.
        agent_limits: what its agents of this file may spend together.
    """

    name: str
    host: str = LOOPBACK
    port: int = 0
    plain: bool = False
    store: str = DURABLE
    settings: Settings = field(default_factory=Settings)
    agent_limits: SharedLimits = field(default=SharedLimits())


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says: networks, bridges and agents, by their names as written.

    Attributes:
        prices: a file with what models cost; None: nobody knows.
    """

    networks: Mapping[str, NetworkConfig]
    bridges: Mapping[str, BridgeConfig] = field(default_factory=dict)
    agents: Mapping[str, AgentConfig] = field(default_factory=dict)
    prices: Path | None = None


_KEYS: Final[Mapping[str, Kind]] = {
    "host": HOST,
    "port": PORT,
    "plain": FLAG,
    "store": Choice((DURABLE, MEMORY)),
}


def load(path: str | os.PathLike[str]) -> Config:
    """What the file at `path` says. Raises `ConfigError`."""
    # Here and not above: every broker takes `settings_from` of this module, and
    # a takeover shall not wait for a YAML parser to be imported.
    from ipcbus.config import document

    return _config(Place(str(path), "", 1), document.read(Path(path)))


def to_dict(config: Config) -> dict[str, Any]:
    """The whole configuration, defaults included, as the file would write it."""
    prices = {} if config.prices is None else {"prices": str(config.prices)}
    return {
        "networks": {name: _described(net) for name, net in config.networks.items()},
        "bridges": {
            name: bridges.described(bridge) for name, bridge in config.bridges.items()
        },
        "agents": {
            name: agents.described(agent) for name, agent in config.agents.items()
        },
        **prices,
    }


def dump(config: Config) -> str:
    """`to_dict` as YAML; `load` reads it back."""
    import yaml

    text: str = yaml.safe_dump(to_dict(config), sort_keys=False)
    return text


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file."""
    settings = {key: kind.schema() for key, kind in KINDS.items()}
    network = {key: kind.schema() for key, kind in _KEYS.items()}
    network["settings"] = an_object(settings, null=True)
    network["agent_limits"] = agents.limits_schema(agents.SHARED)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ipcbus configuration",
        **an_object(
            {
                "networks": {
                    "type": ["object", "null"],
                    "propertyNames": NAME,
                    "additionalProperties": an_object(network, null=True),
                },
                "bridges": bridges.schema(),
                "agents": agents.schema(),
                **{key: kind.schema() for key, kind in _TOP.items()},
            }
        ),
        "anyOf": [{"required": [key], "properties": {key: _SOME}} for key in _SECTIONS],
    }


def _config(place: Place, item: Item) -> Config:
    top = mapping(place, item, (*_SECTIONS, *_TOP))
    if not any(key in top and top[key].value for key in _SECTIONS):
        raise place.wrong(
            "networks is missing: name at least one, or a bridge, or an agent"
        )
    networks: Mapping[str, NetworkConfig] = {}
    found: dict[str, Any] = values(place, top, _TOP)
    if "networks" in top:
        networks = _networks(place.of("networks", top["networks"]), top["networks"])
    if "bridges" in top:
        at = place.of("bridges", top["bridges"])
        found["bridges"] = bridges.read(at, top["bridges"], networks)
    if "agents" in top:
        at = place.of("agents", top["agents"])
        found["agents"] = agents.read(at, top["agents"], networks)
    if "prices" in found:
        found["prices"] = file(place.of("prices", top["prices"]), found["prices"])
    return Config(networks, **found)


def _networks(place: Place, item: Item) -> Mapping[str, NetworkConfig]:
    found: dict[str, NetworkConfig] = {}
    for name, child in mapping(place, item, None).items():
        at = place.of(name, child)
        network = _network(at, name, child)
        for other in found.values():
            if fold(other.name) == fold(name):
                raise at.wrong(f"is the same name as {other.name}")
            if network.port and other.port == network.port:
                raise at.wrong(f"port {network.port} is that of {other.name} already")
        found[name] = network
    return found


def _network(place: Place, name: str, item: Item) -> NetworkConfig:
    named(place, name)
    keys = mapping(place, item, (*_KEYS, "settings", "agent_limits"))
    found = values(place, keys, _KEYS)
    for key, read in (("settings", _settings), ("agent_limits", agents.shared)):
        if key in keys:
            found[key] = read(place.of(key, keys[key]), keys[key])
    network = NetworkConfig(name, **found)
    if network.plain and not network.host.startswith("127."):
        raise place.of("plain", keys["plain"]).wrong(
            f"would open this network to all who reach {network.host}; "
            f"it must be false unless host is {LOOPBACK}"
        )
    return network


def _settings(place: Place, item: Item) -> Settings:
    found = values(place, mapping(place, item, tuple(KINDS)), KINDS)
    try:
        return checked(Settings(**{FIELDS[key]: v for key, v in found.items()}))
    except ValueError as error:
        raise place.wrong(str(error)) from error


def _described(network: NetworkConfig) -> dict[str, Any]:
    keys = {key: kind.show(getattr(network, key)) for key, kind in _KEYS.items()}
    settings = {
        key: kind.show(getattr(network.settings, FIELDS[key]))
        for key, kind in KINDS.items()
    }
    limits = network.agent_limits._asdict()
    return {**keys, "settings": settings, "agent_limits": limits}
