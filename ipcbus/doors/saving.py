"""Attachments into a folder, under names that cannot harm."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipcbus.client.message import Attachment
from ipcbus.errors import UsageError

if TYPE_CHECKING:
    from ipcbus.client.sync import Client
    from ipcbus.protocol.messages import Header

MOST_BYTES: Final = 200
"""Of a file's name. Linux takes 255; the rest is for a number, and for what a file is
called until it is whole."""

MOST_SUFFIX: Final = 20
"""Bytes, with its dot; what is longer is no suffix."""


def save_all(
    client: Client,
    header: Header,
    folder: Path,
    progress: Callable[[str], Any] = lambda name: None,
) -> list[Path]:
    """Save what is attached to a message; the files that were made.

    `progress` makes of a file's name what is told how far its download came.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(reason=f"cannot make {folder}: {error.strerror}") from error
    saved = []
    for attachment in (Attachment(*row) for row in header.attachments or ()):
        path = free_path(folder, file_name(attachment.name))
        client.download(attachment, path, progress=progress(path.name))
        saved.append(path)
    return saved


def file_name(name: str) -> str:
    """A harmless file name for what a peer called its attachment.

    No folder, no hidden file, no control character, nothing that a shell expands.
    """
    plain = re.sub(r"[^\w.+=,@ -]", "_", name.replace("\\", "/").rpartition("/")[2])
    return _cut(plain.strip(". -")) or "attachment"


def _cut(name: str) -> str:
    """`name` in so many bytes, with its suffix and without half a letter."""
    stem, dot, suffix = name.rpartition(".")
    ending = (dot + suffix).encode()
    if not stem or len(ending) > MOST_SUFFIX:
        stem, ending = name, b""
    room = MOST_BYTES - len(ending)
    return (stem.encode()[:room] + ending).decode(errors="ignore")


def free_path(folder: Path, name: str) -> Path:
    """A path that nothing has yet: what is there is never overwritten."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122  (not of a path yet)
    path, number = folder / name, 1
    while os.path.lexists(path):
        path = folder / f"{stem}-{number}{suffix}"
        number += 1
    return path
