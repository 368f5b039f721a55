"""Configuration files: YAML in, frozen dataclasses out.

    networks:
      dev:
        port: 9876
        settings:
          history: 7d
          store_bytes: 512MiB
      scratch:            # all defaults: any free port, this machine alone

An error names the file, the path in it (networks.dev.port) with its line, what is
wrong, and what is allowed. `bridges` and `agents` are names kept for what a later
version will read there.

`ipcbus config schema` prints `schema()`, which editors use to complete and check.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipcbus.broker.settings import Settings
from ipcbus.config.kinds import FLAG, HOST, PORT, Kind
from ipcbus.config.settings import (
    FIELDS,
    KINDS,
    checked,
    overrides,
    settings_from,
    unknown,
)
from ipcbus.errors import ConfigError, InvalidAddress
from ipcbus.protocol.address import check_name, fold

if TYPE_CHECKING:
    from ipcbus.config.document import Item

__all__ = [
    "Config",
    "NetworkConfig",
    "dump",
    "load",
    "overrides",
    "schema",
    "settings_from",
    "to_dict",
]

RESERVED: Final = ("bridges", "agents")
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """One network to serve.

    Attributes:
        port: TCP port; 0 for any free one.
        plain: no encryption and no proof of identity; on loopback only.
    """

    name: str
    host: str = LOOPBACK
    port: int = 0
    plain: bool = False
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says: the networks by their names as written."""

    networks: Mapping[str, NetworkConfig]


_KEYS: Final[Mapping[str, Kind]] = {"host": HOST, "port": PORT, "plain": FLAG}


def load(path: str | os.PathLike[str]) -> Config:
    """What the file at `path` says. Raises `ConfigError`."""
    # Here and not above: every broker takes `settings_from` of this module, and
    # a takeover shall not wait for a YAML parser to be imported.
    from ipcbus.config import document

    return _config(_Place(str(path), "", 1), document.read(Path(path)))


def to_dict(config: Config) -> dict[str, Any]:
    """The whole configuration, defaults included, as the file would write it."""
    return {
        "networks": {name: _described(net) for name, net in config.networks.items()}
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
        **_object(
            {
                "networks": {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"},
                    "additionalProperties": _object(
                        {**network, "settings": _object(settings, null=True)}, null=True
                    ),
                },
                **dict.fromkeys(RESERVED, empty),
            }
        ),
        "required": ["networks"],
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file: what an error begins with."""

    file: str
    path: str
    line: int

    def of(self, key: str, item: Item) -> _Place:
        path = f"{self.path}.{key}" if self.path else key
        return _Place(self.file, path, item.line)

    def wrong(self, reason: str) -> ConfigError:
        where = f"{self.path} (line {self.line})" if self.path else f"line {self.line}"
        return ConfigError(file=self.file, path=where, reason=reason, line=self.line)


def _config(place: _Place, item: Item) -> Config:
    top = _mapping(place, item, ("networks", *RESERVED))
    for key in RESERVED:
        if key in top and top[key].value:
            raise place.of(key, top[key]).wrong(
                "is not read by this version; leave it out or empty"
            )
    if "networks" not in top or not top["networks"].value:
        raise place.wrong("networks is missing: name at least one")
    at = place.of("networks", top["networks"])
    return Config(_networks(at, top["networks"]))


def _networks(place: _Place, item: Item) -> Mapping[str, NetworkConfig]:
    found: dict[str, NetworkConfig] = {}
    for name, child in _mapping(place, item, None).items():
        at = place.of(name, child)
        network = _network(at, name, child)
        for other in found.values():
            if fold(other.name) == fold(name):
                raise at.wrong(f"is the same name as {other.name}")
            if network.port and other.port == network.port:
                raise at.wrong(f"port {network.port} is that of {other.name} already")
        found[name] = network
    return found


def _network(place: _Place, name: str, item: Item) -> NetworkConfig:
    try:
        check_name(name)
    except InvalidAddress as error:
        raise place.wrong(error.reason) from error
    keys = _mapping(place, item, (*_KEYS, "settings"))
    values = _values(place, keys, _KEYS)
    settings = Settings()
    if "settings" in keys:
        settings = _settings(place.of("settings", keys["settings"]), keys["settings"])
    network = NetworkConfig(name, settings=settings, **values)
    if network.plain and not network.host.startswith("127."):
        raise place.of("plain", keys["plain"]).wrong(
            f"would open this network to all who reach {network.host}; "
            f"it must be false unless host is {LOOPBACK}"
        )
    return network


def _settings(place: _Place, item: Item) -> Settings:
    values = _values(place, _mapping(place, item, tuple(KINDS)), KINDS)
    try:
        return checked(Settings(**{FIELDS[key]: v for key, v in values.items()}))
    except ValueError as error:
        raise place.wrong(str(error)) from error


def _mapping(
    place: _Place, item: Item, known: tuple[str, ...] | None
) -> Mapping[str, Item]:
    """The keys of `item`, all of them known; nothing written is no keys."""
    if item.value is None:
        return {}
    if not isinstance(item.value, Mapping):
        raise place.wrong("must hold keys with values, one a line")
    for key, child in item.value.items():
        if known is not None and key not in known:
            raise place.of(key, child).wrong(unknown(key, known, "key"))
    return item.value


def _values(
    place: _Place, items: Mapping[str, Item], kinds: Mapping[str, Kind]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in items.items():
        if key not in kinds:
            continue
        at = place.of(key, item)
        if not isinstance(item.value, str):
            raise at.wrong(f"it must be {kinds[key].allowed()}")
        try:
            found[key] = kinds[key].parse(item.value, item.quoted)
        except ValueError as error:
            raise at.wrong(str(error)) from error
    return found


def _described(network: NetworkConfig) -> dict[str, Any]:
    values = {key: kind.show(getattr(network, key)) for key, kind in _KEYS.items()}
    settings = {
        key: kind.show(getattr(network.settings, FIELDS[key]))
        for key, kind in KINDS.items()
    }
    return {**values, "settings": settings}


def _object(properties: dict[str, Any], *, null: bool = False) -> dict[str, Any]:
    return {
        "type": ["object", "null"] if null else "object",
        "properties": properties,
        "additionalProperties": False,
    }
