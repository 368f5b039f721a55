"""Attachments follow the message that refers to them, before it is handed over."""

from __future__ import annotations

from typing import Any

import ipcbus
from ipcbus_bridges.ends import End

CHUNK = 256 * 1024
"""Bytes of one piece, as in the protocol."""


def bring(source: End, destination: End, attachments: list[list[Any]] | None) -> str:
    """Bring them over, one after the other. Why it failed, or "".

    What the destination has already is not sent again. A connection that is lost on
    the way is not a failure of the message: the link begins anew then.
    """
    for sha256, size, name, _ in attachments or ():
        try:
            _bring(source, destination, sha256, size)
        except ipcbus.errors.NoBroker:
            return ""  # the link is told by its ends
        except ipcbus.IpcbusError as error:
            return f"attachment {name} did not come over: {error}"
    return ""


def _bring(source: End, destination: End, sha256: str, size: int) -> None:
    [there], _ = destination.ask("blob_begin", sha256, size)
    if 0 < size == there:
        return
    while there < size:
        _, piece = source.ask("blob_read", sha256, there)
        [there], _ = destination.ask("blob_write", sha256, there, body=piece[:CHUNK])
    destination.ask("blob_seal", sha256)
