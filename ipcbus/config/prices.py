"""The file with what models cost: prices of a million tokens, by name of the model.

    prices:
      claude-haiku-*: {input: 1, output: 5}
      local/*: {input: 0, output: 0}
      "*": {input: 20, output: 80}     # for all that is not named above

Of the names that fit a model the first counts; `*` stands for any letters, `?` for
one. The currency is yours: money is compared with the limits that you set. A model that
no name fits has no price, and what it costs is shown as unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ipcbus.config.kinds import Kind, Number
from ipcbus.config.reading import Place, mapping, values

if TYPE_CHECKING:
    from ipcbus.config.document import Item

MOST: Final = 1_000_000


class Price(NamedTuple):
    """Of a million tokens."""

    input: float
    output: float


_KEYS: Final[Mapping[str, Kind]] = {name: Number(0, MOST) for name in Price._fields}


def load(path: Path) -> dict[str, Price]:
    """Patterns for names of models and their prices, in the order of the file. Raises
    `ConfigError`."""
    from ipcbus.config import document  # YAML, for those who have prices

    item = document.read(path)
    place = Place(str(path), "", 1)
    top = mapping(place, item, ("prices",))
    if "prices" not in top or not top["prices"].value:
        raise place.wrong("prices is missing: name at least one model")
    at = place.of("prices", top["prices"])
    return {
        pattern: _price(at.of(pattern, child), child)
        for pattern, child in mapping(at, top["prices"], None).items()
    }


def _price(place: Place, item: Item) -> Price:
    found: dict[str, Any] = values(place, mapping(place, item, tuple(_KEYS)), _KEYS)
    for name, kind in _KEYS.items():
        if name not in found:
            raise place.wrong(f"{name} is missing; it must be {kind.allowed()}")
    return Price(**found)
