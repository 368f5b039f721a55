"""An agent's key is kept under its name, and goes along when it is renamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ipcbus.errors import Refused
from ipcbus.networks import Network


@contextmanager
def key_moves(network: Network, old: str, new: str) -> Iterator[None]:
    """Rename the key of `old` to `new` if the body succeeds and the key is here.

    It has both names while the broker is asked, so that it can be found whatever dies.
    """
    source, target = network.key_path(old), network.key_path(new)
    if source == target or not source.exists():
        yield
        return
    linked = not target.exists()
    if linked:
        target.hardlink_to(source)
    try:
        yield
    except Refused:
        if linked:
            target.unlink()
        raise
    if linked:
        source.unlink()
    else:
        source.replace(target)
