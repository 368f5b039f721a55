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

An error names the file, the path in it (networks.dev.port) with its line, what is
wrong, and what is allowed. `agents` is a name kept for what a later version will read
there.

`ipcbus config schema` prints `schema()`, which editors use to complete and check.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipcbus.broker.settings import Settings
from ipcbus.config import bridges
from ipcbus.config.bridges import BridgeConfig
from ipcbus.config.kinds import FLAG, HOST, PORT, Choice, Kind
from ipcbus.config.reading import NAME, Place, an_object, mapping, named, values
from ipcbus.config.settings import FIELDS, KINDS, checked, overrides, settings_from
from ipcbus.protocol.address import fold

if TYPE_CHECKING:
    from ipcbus.config.document import Item

__all__ = [
    "BridgeConfig",
    "Config",
    "NetworkConfig",
    "dump",
    "load",
    "overrides",
    "schema",
    "settings_from",
    "to_dict",
]

RESERVED: Final = ("agents",)
_SECTIONS: Final = ("networks", "bridges")
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
    """

    name: str
    host: str = LOOPBACK
    port: int = 0
    plain: bool = False
    store: str = DURABLE
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says: networks and bridges, by their names as written."""

    networks: Mapping[str, NetworkConfig]
    bridges: Mapping[str, BridgeConfig] = field(default_factory=dict)


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
    return {
        "networks": {name: _described(net) for name, net in config.networks.items()},
        "bridges": {
            name: bridges.described(bridge) for name, bridge in config.bridges.items()
        },
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
    empty = {"type": ["object", "array", "null"], "maxProperties": 0, "maxItems": 0}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ipcbus configuration",
        **an_object(
            {
                "networks": {
                    "type": ["object", "null"],
                    "propertyNames": NAME,
                    "additionalProperties": an_object(
                        {**network, "settings": an_object(settings, null=True)},
                        null=True,
                    ),
                },
                "bridges": bridges.schema(),
                **dict.fromkeys(RESERVED, empty),
            }
        ),
        "anyOf": [{"required": [key], "properties": {key: _SOME}} for key in _SECTIONS],
    }


def _config(place: Place, item: Item) -> Config:
    top = mapping(place, item, (*_SECTIONS, *RESERVED))
    for key in RESERVED:
        if key in top and top[key].value:
            raise place.of(key, top[key]).wrong(
                "is not read by this version; leave it out or empty"
            )
    if not any(key in top and top[key].value for key in _SECTIONS):
        raise place.wrong("networks is missing: name at least one, or a bridge")
    networks: Mapping[str, NetworkConfig] = {}
    if "networks" in top:
        networks = _networks(place.of("networks", top["networks"]), top["networks"])
    if "bridges" not in top:
        return Config(networks)
    at = place.of("bridges", top["bridges"])
    return Config(networks, bridges.read(at, top["bridges"], networks))


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
    keys = mapping(place, item, (*_KEYS, "settings"))
    found = values(place, keys, _KEYS)
    settings = Settings()
    if "settings" in keys:
        settings = _settings(place.of("settings", keys["settings"]), keys["settings"])
    network = NetworkConfig(name, settings=settings, **found)
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
    return {**keys, "settings": settings}
