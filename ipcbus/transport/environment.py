"""What a broker gets of the environment of whoever starts it.

Little, and by name: it outlives its starter, and an agent's environment is full of API
keys that a broker has no use for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import ipcbus.errors
from ipcbus.networks import Network

_KEPT: Final = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV")
)
_KEPT_PREFIXES: Final = ("IPCBUS_", "LC_", "LD_", "XDG_", "PYTHON", "COVERAGE_")
_SECRETS: Final = ("SECRET", "TOKEN", "KEY", "PASSWORD", "INVITATION")


def environment(network: Network, given: Mapping[str, str]) -> dict[str, str]:
    """The part of `given` that a broker of `network` gets, and where its code is.

    A checkout that is not installed is put on the path, so that the broker is of the
    code that started it.
    """
    kept = {name: text for name, text in given.items() if _is_kept(name)}
    kept["IPCBUS_HOME"] = str(network.folder.parent.parent)
    code = Path(ipcbus.errors.__file__).parent.parent
    if code.name not in ("site-packages", "dist-packages"):
        old = kept.get("PYTHONPATH")
        kept["PYTHONPATH"] = f"{code}{os.pathsep}{old}" if old else str(code)
    return kept


def _is_kept(name: str) -> bool:
    if any(word in name for word in _SECRETS):
        return False
    return name in _KEPT or name.startswith(_KEPT_PREFIXES)
