"""Where the whole of a message is, of which only the beginning was shown.

Usually in the network's history. A network may keep none (or be another machine's, and
nobody knows): what was acked is gone there, so it is put into a file first.

    NETWORK/notice/mail/ID.txt    0600; swept with the rest of the folder
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipcbus.networks import Network, files

if TYPE_CHECKING:
    from ipcbus.doors.view import View

SHORT: Final = 200
"""Bytes that are shown whole wherever it may be."""


def folder(network: Network) -> Path:
    return network.folder / "notice" / "mail"


def keep(network: Network, views: Iterable[View]) -> dict[str, str]:
    """Make sure that each can be read on; where, by id, if that is in a file."""
    saved = network.saved()
    if saved.remote is None and saved.settings.get("history_ms", 1) > 0:
        return {}
    found = {}
    for view in views:
        if view.size > SHORT or isinstance(view.body, bytes):
            found[view.header.id] = str(_written(folder(network), view))
    return found


def _written(folder: Path, view: View) -> Path:
    files.make_folder(folder.parent)
    files.make_folder(folder)
    is_text = isinstance(view.body, str)
    name = re.sub(r"[^\w.:-]", "_", view.header.id)
    path = folder / f"{name}{'.txt' if is_text else '.bin'}"
    data = view.body if isinstance(view.body, bytes) else view.body.encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        suppress(FileExistsError),
        os.fdopen(os.open(path, flags, 0o600), "wb") as file,
    ):
        file.write(data)
    return path
