"""Look for what is wrong on this machine, and say how to mend it.

Each check is a function that returns one finding or several (`Row`), or raises the
error that the product itself would raise; that is a finding as well. Checks change
nothing and do not depend on each other, so the fifth still runs when the first fails.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ipcbus.doctor import machine, network
from ipcbus.doctor.rows import Row, Status, carried_out
from ipcbus.networks import Network, networks

__all__ = ["Row", "Status", "examine"]

MACHINE: Final = (
    ("python", machine.check_python),
    ("encryption", machine.check_encryption),
    ("sqlite", machine.check_sqlite),
    ("msgpack", machine.check_msgpack),
    ("clock", machine.check_clock),
    ("descriptors", machine.check_descriptors),
    ("home", machine.check_home),
)

NETWORK: Final = (
    ("folder", network.check_folders),
    ("settings", network.check_settings),
    ("broker", network.check_broker),
    ("port", network.check_port),
    ("keys", network.check_keys),
    ("database", network.check_database),
    ("clock", network.check_times),
    ("leftovers", network.check_leftovers),
)


def examine(one: Network | None = None) -> list[Row]:
    """The findings about this machine and about `one` network, or about all."""
    rows = [row for name, check in MACHINE for row in carried_out(name, check)]
    if one is not None:
        return rows + examine_network(one)
    found: list[Network] = []

    def check_networks() -> Row:
        found.extend(networks())
        return Row("networks", "ok", ", ".join(each.name for each in found) or "none")

    rows += carried_out("networks", check_networks)
    return rows + [row for each in found for row in examine_network(each)]


def examine_network(one: Network) -> list[Row]:
    """The findings about one network."""
    return [
        row
        for name, check in NETWORK
        for row in carried_out(f"{one.name}: {name}", partial(check, one))
    ]
