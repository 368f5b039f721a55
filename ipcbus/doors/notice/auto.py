"""How often hooks look for mail: "start auto checking every 5 minutes".

    NETWORK/auto/alice.json     {"every_s": 300.0, "since": 1764100000.0}     0600

`every_s` null means never, 0 means at every event, which is also what a missing file
means. It is kept by agent and network, so the sessions of one agent share it and those
of others do not know of it. Whoever wants to read mail still can: only hooks ask here.
"""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import Final, NamedTuple

from ipcbus.errors import StaleFile
from ipcbus.networks import Network, files
from ipcbus.protocol.address import check_name, fold

MOST_S: Final = 86_400.0
"""Seconds between two looks, at most: a day. Less often is `stop`."""

MOST_NUMBER: Final = 2.0**53
"""More is no time."""


class Auto(NamedTuple):
    """Attributes:
    every_s: seconds between two looks; 0 for each event, None for never.
    since: when it was set, in seconds of the wall clock.
    """

    every_s: float | None
    since: float


def read(network: Network, agent: str) -> Auto | None:
    """What was set; None if nothing was, or the file holds nothing of ours.

    Raises `UnsafeFolder` if others may have written it.
    """
    try:
        value = files.read_object(_path(network, agent))
    except StaleFile:
        return None  # a convenience: the default is better than a hook that fails
    if value is None:
        return None
    since = _number(value.get("since"))
    every_s = _number(value.get("every_s"))
    if since is None or (every_s is None and value.get("every_s", 0) is not None):
        return None
    return Auto(every_s, since)


def start(network: Network, agent: str, every_s: float) -> Auto:
    """Look at most once in `every_s` seconds. Raises `ValueError`, `UnsafeFolder`."""
    if not 0 <= every_s <= MOST_S:
        raise ValueError(f"{every_s} s is not between 0 and a day")
    return _write(network, agent, float(every_s))


def stop(network: Network, agent: str) -> Auto:
    """Look never. Raises `UnsafeFolder`."""
    return _write(network, agent, None)


def is_due(auto: Auto | None, last_s: float | None, now: float) -> bool:
    """Whether to look now, when mail was last looked for at `last_s` (None: never).

    A clock that was set back makes it due: silence until it has caught up is worse
    than one look too many.
    """
    if auto is None or auto.every_s == 0:
        return True
    if auto.every_s is None:
        return False
    return last_s is None or not last_s <= now < last_s + auto.every_s


def _write(network: Network, agent: str, every_s: float | None) -> Auto:
    auto = Auto(every_s, time())
    path = _path(network, agent)
    files.make_folder(path.parent)
    files.write_object(path, auto._asdict())
    return auto


def _path(network: Network, agent: str) -> Path:
    return network.folder / "auto" / f"{fold(check_name(agent))}.json"


def _number(value: object) -> float | None:
    """None for what is no number, or none that can be a time."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value <= MOST_NUMBER else None
