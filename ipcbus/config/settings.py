"""The settings of a network: their keys, kinds and bounds.

A field of `broker.settings.Settings` that ends in `_ms` is written without it and
as a duration (`history: 7d`); one that ends in `_bytes`, and `max_body`, as a size;
the others are counts. network.json holds the same fields under their own names and
in their own units, as programs want them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from ipcbus.broker.settings import DAY, Settings
from ipcbus.config.kinds import AGENT, Count, Kind, duration, size
from ipcbus.errors import ConfigError
from ipcbus.protocol.limits import KIB, MAX_BODY, MIB

_TIB: Final = 1024 * 1024 * MIB
_MANY: Final = 1_000_000_000

_BOUNDS: Final[Mapping[str, Kind]] = {
    "max_attempts": Count(1, 100),
    "mailbox_messages": Count(1, _MANY),
    "mailbox_bytes": size(64 * KIB, _TIB),
    "max_body": size(KIB, MAX_BODY),
    "rate": Count(0, 1_000_000),
    "max_agents": Count(1, 1_000_000),
    "max_topics": Count(1, 10_000),
    "history_ms": duration(0, 3650 * DAY),
    "future_ms": duration(1000, 365 * DAY),
    "future_messages": Count(1, _MANY),
    "rename_ms": duration(0, 365 * DAY),
    "forward_ms": duration(0, 365 * DAY),
    # Below this SQLite's own pages and the ballast leave no room for mail.
    "store_bytes": size(16 * MIB, _TIB, zero=True),
    "guard_pair": Count(0, 1_000_000),
    "guard_thread": Count(0, 1_000_000),
    "guard_repeats": Count(0, 1_000),
    "guard_human": AGENT,
}


def _kind(field: str) -> Kind:
    """Its bounds from the table; a field that lacks them is only not negative."""
    if field in _BOUNDS:
        return _BOUNDS[field]
    if field.endswith("_ms"):
        return duration(0, 3650 * DAY)
    return size(0, _TIB) if field.endswith("_bytes") else Count(0, _MANY)


FIELDS: Final[Mapping[str, str]] = {
    field.name.removesuffix("_ms"): field.name for field in dataclasses.fields(Settings)
}
"""The field of `Settings` that each key of a configuration sets."""

_DEFAULTS: Final = dataclasses.asdict(Settings())

KINDS: Final[Mapping[str, Kind]] = {key: _kind(name) for key, name in FIELDS.items()}
"""What each key may hold."""


def settings_from(values: Mapping[str, Any], *, file: str = "network.json") -> Settings:
    """Settings from the fields that network.json has. Raises `ConfigError`."""
    for name, value in values.items():
        where = f"settings.{name}"
        key = name.removesuffix("_ms")
        if FIELDS.get(key) != name:
            reason = unknown(name, FIELDS.values(), "setting")
            raise ConfigError(file=file, path=where, reason=reason)
        if type(value) is not type(_DEFAULTS[name]):
            kind = "number" if type(_DEFAULTS[name]) is int else "text"
            raise ConfigError(file=file, path=where, reason=f"{value!r} is no {kind}")
        try:
            KINDS[key].parse(str(KINDS[key].show(value)), False)
        except ValueError as error:
            raise ConfigError(file=file, path=where, reason=str(error)) from error
    try:
        return checked(Settings(**values))
    except ValueError as error:
        raise ConfigError(file=file, path="settings", reason=str(error)) from error


def overrides(settings: Settings) -> dict[str, int | str]:
    """What differs from the defaults: the `settings` of network.json."""
    return {
        name: getattr(settings, name)
        for name in FIELDS.values()
        if getattr(settings, name) != _DEFAULTS[name]
    }


def checked(settings: Settings) -> Settings:
    """Raises `ValueError` for values that are fine alone and not together."""
    if settings.mailbox_bytes < settings.max_body:
        raise ValueError("mailbox_bytes is less than max_body: such mail fits nowhere")
    if 0 < settings.store_bytes < settings.max_body * 4:
        raise ValueError("store_bytes has no room for four messages of max_body")
    return settings


def unknown(name: str, known: Any, noun: str) -> str:
    """The reason for refusing a key: with the nearest one, or with all there are."""
    near = get_close_matches(name, known, 1, 0.6)
    if near:
        return f"there is no such {noun}; did you mean {near[0]}?"
    return f"there is no such {noun}; there are: {', '.join(known)}"
