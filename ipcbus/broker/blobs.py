"""Attachments: taken in by pieces, stored once by SHA-256, given to who may read them.

An agent may refer to an attachment that it uploaded itself or was sent. To know a
hash is not enough: who has not shown the bytes must upload them, also when they are
stored already. They are then compared by their hash and thrown away.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

from ipcbus.errors import BoundExceeded, InvalidMessage, NotPermitted
from ipcbus.protocol.limits import CHUNK, MAX_ATTACHMENT
from ipcbus.store.base import Store

MOST_UPLOADS = 16
"""Uploads one agent may have open."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class _Upload:
    """Bytes on their way in. `kept`: they are stored, not only compared."""

    __slots__ = ("hash", "kept", "received", "size")

    def __init__(self, size: int, *, kept: bool) -> None:
        self.hash = sha256()
        self.size = size
        self.received = 0
        self.kept = kept


class Attachments:
    """Uploads live in memory: one that a broker did not see to its end starts over."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._uploads: dict[tuple[int, str], _Upload] = {}
        self._shown: set[tuple[int, str]] = set()
        """(agent, hash): the agent has shown the bytes to this broker."""

    def begin(self, agent: int, hash_: str, size: int, wall: int) -> int:
        """Announce an upload; returns how many bytes are here already."""
        if not _SHA256.match(hash_):
            raise InvalidMessage(field="sha256", reason="must be 64 lower case digits")
        if size > MAX_ATTACHMENT:
            raise BoundExceeded(bound="attachment", value=size, limit=MAX_ATTACHMENT)
        blob = self._store.blobs.get(hash_)
        if blob is not None and blob.sealed and self._may_read(agent, hash_):
            return blob.size
        mine = [key for key in self._uploads if key[0] == agent]
        if len(mine) >= MOST_UPLOADS and (agent, hash_) not in self._uploads:
            raise BoundExceeded(
                bound="uploads", value=len(mine) + 1, limit=MOST_UPLOADS
            )
        busy = any(
            up.kept
            for (who, what), up in self._uploads.items()
            if what == hash_ and who != agent  # its own starts over, and is kept again
        )
        kept = not (blob is not None and blob.sealed) and not busy
        if kept and size > self._store.room():
            raise BoundExceeded(bound="store", value=size, limit=self._store.room())
        if kept:
            self._store.blobs.begin(hash_, size, agent, wall)
            self._store.blobs.restart(hash_)
        self._uploads[agent, hash_] = _Upload(size, kept=kept)
        return 0

    def write(self, agent: int, hash_: str, offset: int, data: bytes) -> int:
        upload = self._upload(agent, hash_)
        if offset != upload.received:
            raise InvalidMessage(field="offset", reason=f"must be {upload.received}")
        if not 0 < len(data) <= CHUNK or offset + len(data) > upload.size:
            raise InvalidMessage(field="body", reason="is more than was announced")
        if upload.kept:
            self._store.blobs.append(hash_, data)
        upload.hash.update(data)
        upload.received += len(data)
        return upload.received

    def seal(self, agent: int, hash_: str) -> None:
        upload = self._upload(agent, hash_)
        del self._uploads[agent, hash_]
        right = upload.received == upload.size and upload.hash.hexdigest() == hash_
        if upload.kept and right:
            self._store.blobs.seal(hash_)
        elif upload.kept:
            self._store.blobs.restart(hash_)
        if not right:
            raise InvalidMessage(
                field="attachment", reason="the bytes do not have that SHA-256"
            )
        self._shown.add((agent, hash_))

    def read(self, agent: int, hash_: str, offset: int) -> tuple[int, bytes]:
        """Its size, and a piece of it."""
        blob = self._store.blobs.get(hash_)
        if blob is None or not blob.sealed or not self._may_read(agent, hash_):
            raise NotPermitted(reason="no attachment with that hash was sent to you")
        return blob.size, self._store.blobs.read(hash_, offset, CHUNK)

    def check(self, agent: int, attachments: list[list[Any]]) -> None:
        """Raise unless `agent` may send these along."""
        for hash_, size, name, _ in attachments:
            blob = self._store.blobs.get(hash_)
            known = blob is not None and blob.sealed and blob.size == size
            if not known or not self._may_read(agent, hash_):
                raise InvalidMessage(
                    field="attachments", reason=f"{name!r:.80} was not uploaded by you"
                )

    def forget(self, agent: int) -> None:
        """The last session of an agent ended: its uploads will not go on."""
        for key in [key for key in self._uploads if key[0] == agent]:
            del self._uploads[key]

    def _may_read(self, agent: int, hash_: str) -> bool:
        return (agent, hash_) in self._shown or self._store.blobs.readable(hash_, agent)

    def _upload(self, agent: int, hash_: str) -> _Upload:
        upload = self._uploads.get((agent, hash_))
        if upload is None:
            raise InvalidMessage(field="sha256", reason="begin the upload first")
        return upload
