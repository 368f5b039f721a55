"""The section `bridges`: which networks are joined by which rules.

    bridges:
      dev-prod:
        between: [dev, prod]        # of this file, or known to this machine already
        rules: rules/dev-prod.yaml  # from the folder of this file; the bridge reads it
        one_way: false              # true: only from the first to the second

A network need not be in the same file: one that was joined by an invitation is served
by another machine. Whether it is known is seen when the bridge is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipcbus.config.kinds import FILE, FLAG, Kind
from ipcbus.config.reading import (
    NAME,
    Place,
    an_object,
    file,
    mapping,
    named,
    values,
)
from ipcbus.protocol.address import fold

if TYPE_CHECKING:
    from ipcbus.config.document import Item

PAIR: Final = "two names of networks, as [dev, prod]"


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """One bridge to run.

    Attributes:
        between: the names of two networks.
        rules: the absolute path of a file of rules; None for what a bridge carries
            without any.
        one_way: only from the first network to the second.
    """

    name: str
    between: tuple[str, str]
    rules: Path | None = None
    one_way: bool = False

    @property
    def pair(self) -> frozenset[str]:
        """Its networks, as they are compared."""
        return frozenset(map(fold, self.between))


_KEYS: Final[Mapping[str, Kind]] = {"rules": FILE, "one_way": FLAG}
KEYS: Final = ("between", *_KEYS)


def read(
    place: Place, item: Item, networks: Iterable[str]
) -> Mapping[str, BridgeConfig]:
    """The bridges of a file that has these networks. Raises `ConfigError`."""
    taken = {fold(name) for name in networks}
    found: dict[str, BridgeConfig] = {}
    for name, child in mapping(place, item, None).items():
        at = place.of(name, child)
        bridge = _bridge(at, name, child)
        if fold(name) in taken:
            raise at.wrong(f"is the name of a network; try {'-'.join(bridge.between)}")
        for other in found.values():
            _check_apart(at, bridge, other)
        found[name] = bridge
    return found


def described(bridge: BridgeConfig) -> dict[str, Any]:
    """`bridge` as a file would write it. No rules are written by leaving them out."""
    rules = {} if bridge.rules is None else {"rules": str(bridge.rules)}
    return {"between": list(bridge.between), **rules, "one_way": bridge.one_way}


def schema() -> dict[str, Any]:
    """The section as JSON Schema."""
    between = {
        "type": "array",
        "items": NAME,
        "minItems": 2,
        "maxItems": 2,
        "uniqueItems": True,
        "description": PAIR,
    }
    keys = {"between": between, **{key: kind.schema() for key, kind in _KEYS.items()}}
    return {
        "type": ["object", "null"],
        "propertyNames": NAME,
        "additionalProperties": {**an_object(keys), "required": ["between"]},
    }


def _bridge(place: Place, name: str, item: Item) -> BridgeConfig:
    named(place, name)
    keys = mapping(place, item, KEYS)
    if "between" not in keys:
        raise place.wrong(f"between is missing; it must be {PAIR}")
    between = _between(place.of("between", keys["between"]), keys["between"])
    found = values(place, keys, _KEYS)
    if "rules" in found:
        found["rules"] = file(place.of("rules", keys["rules"]), found["rules"])
    return BridgeConfig(name, between, **found)


def _between(place: Place, item: Item) -> tuple[str, str]:
    if not isinstance(item.value, list):
        raise place.wrong(f"it must be {PAIR}")
    names = []
    for each in item.value:
        if not isinstance(each.value, str):
            raise place.wrong(f"it must be {PAIR}")
        names.append(named(Place(place.file, place.path, each.line), each.value))
    if len(names) != 2:
        raise place.wrong(f"{len(names)} are named; it must be {PAIR}")
    first, second = names
    if fold(first) == fold(second):
        raise place.wrong(f"{first} is there twice; it must be {PAIR}, not one with it")
    return first, second


def _check_apart(place: Place, one: BridgeConfig, other: BridgeConfig) -> None:
    if fold(one.name) == fold(other.name):
        raise place.wrong(f"is the same name as {other.name}")
    if one.pair == other.pair:
        first, second = one.between
        raise place.wrong(
            f"{first} and {second} have the bridge {other.name} already; "
            "one carries both ways, and its rules say what"
        )
