"""Files with large messages, for readers that were told a summary: 0600, in a folder
0700, each whole or not there."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ipcbus_bridges.claude_ipc.mail import Entry, with_file, without_file

FOLDER: Final = "large-messages"


def told(entry: Entry, folder: Path) -> Entry:
    """`entry` with its file; as it is, if it needs none."""
    if not entry.whole:
        return entry
    whole = entry.whole
    data = whole if isinstance(whole, bytes) else _page(entry.fields, whole)
    size = len(whole if isinstance(whole, bytes) else whole.encode())
    try:
        path = _write(folder / FOLDER, _name(entry.fields), data)
    except OSError:
        return without_file(entry)
    return with_file(entry, str(path), size)


def sweep(folder: Path, kept_s: float, now: float | None = None) -> None:
    """Remove files that have been kept for so long."""
    oldest = (time.time() if now is None else now) - kept_s
    with suppress(OSError):  # it is not there yet, or somebody has put another there
        for path in (folder / FOLDER).iterdir():
            with suppress(OSError):
                if path.lstat().st_mtime < oldest:
                    path.unlink()


def _page(fields: dict[str, Any], whole: str) -> bytes:
    size = len(whole.encode()) / 1024
    head = f"From: {fields['from']}\nTo: {fields['to']}\nTime: {fields['timestamp']}\n"
    text = f"# IPC Message\n{head}Size: {size:.1f}KB\n\n## Content\n{whole}\n"
    return text.encode()


def _name(fields: dict[str, Any]) -> str:
    """The same for a message that is shown again."""
    words = (fields["timestamp"][:19], fields["from"], fields["to"], fields["id"])
    plain = [re.sub(r"[^A-Za-z0-9@._-]", "", str(word)) for word in words]
    return f"{'_'.join(plain)}.md"


def _write(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    part = folder / f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
        file.write(data)
    part.rename(path)
    return path
