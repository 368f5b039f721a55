"""Attachments: taken in by pieces, stored once by SHA-256, given to who may read them.

An agent may refer to an attachment that it uploaded itself or was sent. To know a
hash is not enough: who has not shown the bytes must upload them, also when they are
stored already. They are then compared by their hash and thrown away.

Each agent uploads for itself: until a hash is known to be right, nobody else's bytes
depend on it, and who is done first has the attachment stored. Sessions of one agent
that upload the same share one upload: a piece that is there already is as good as one
that is not.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

from ipcbus.errors import BoundExceeded, InvalidMessage, NotPermitted
from ipcbus.protocol.limits import CHUNK, MAX_ATTACHMENT
from ipcbus.store.base import UNUSED_BLOB_MS, Store
from ipcbus.store.records import Blob

MOST_UPLOADS = 16
"""Uploads one agent may have open."""

UPLOAD_IDLE_MS = UNUSED_BLOB_MS // 6
"""How long an upload may stand still until it counts no more: much longer than a client
waits for an answer, and shorter than what came of it is kept."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class _Upload:
    """Bytes on their way in. `name`: of what is stored of them, or None if they are
    stored already, and only compared. `seen`: when it last went on (UTC ms)."""

    __slots__ = ("hash", "name", "received", "seen", "size")

    def __init__(self, name: str | None, size: int, seen: int) -> None:
        self.hash = sha256()
        self.name = name
        self.size = size
        self.received = 0
        self.seen = seen


class Attachments:
    """Uploads live in memory: one that a broker did not see to its end starts over,
    and what it has left in the store is purged like any attachment without a use."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._uploads: dict[tuple[int, str], _Upload] = {}

    def begin(self, agent: int, hash_: str, size: int, wall: int) -> int:
        """Announce an upload; returns how many bytes are here already."""
        if not _SHA256.match(hash_):
            raise InvalidMessage(field="sha256", reason="must be 64 lower case digits")
        if size > MAX_ATTACHMENT:
            raise BoundExceeded(bound="attachment", value=size, limit=MAX_ATTACHMENT)
        blob = self._readable(agent, hash_)
        if blob is not None:
            if blob.size != size:
                raise InvalidMessage(field="size", reason=f"is {blob.size}")
            self._keep(hash_, wall)
            return size
        self._drop_idle(agent, wall)
        upload = self._uploads.get((agent, hash_))
        if upload is None or upload.size != size:
            upload = self._begin(agent, hash_, size, wall)
        return upload.received

    def _begin(self, agent: int, hash_: str, size: int, wall: int) -> _Upload:
        mine = sum(1 for who, _ in self._uploads if who == agent)
        if mine >= MOST_UPLOADS and (agent, hash_) not in self._uploads:
            raise BoundExceeded(bound="uploads", value=mine + 1, limit=MOST_UPLOADS)
        name = None if self._sealed(hash_) else f"{hash_}/{agent}"
        if name is not None:
            self._check_room(size)
        self._store.blobs.drop(f"{hash_}/{agent}")  # also what a former broker left
        if name is not None:
            self._store.blobs.begin(name, size, agent, wall)
        upload = self._uploads[agent, hash_] = _Upload(name, size, wall)
        return upload

    def write(self, agent: int, hash_: str, offset: int, data: bytes, wall: int) -> int:
        """Take a piece; returns how many bytes are here by now. What is here already
        does no harm: another session of the agent was faster."""
        upload = self._upload(agent, hash_, wall)
        if upload is None:
            return self._must_read(agent, hash_).size
        if not 0 < len(data) <= CHUNK or offset + len(data) > upload.size:
            raise InvalidMessage(field="body", reason="is more than was announced")
        if offset > upload.received:
            raise InvalidMessage(field="offset", reason=f"must be {upload.received}")
        new = data[upload.received - offset :]
        if upload.name is not None:
            # The store would make the whole turn void, and with it the broker's life.
            self._check_room(len(new))
            self._store.blobs.append(upload.name, new)
        upload.hash.update(new)
        upload.received += len(new)
        upload.seen = wall
        self._keep(upload.name or hash_, wall)
        return upload.received

    def seal(self, agent: int, hash_: str, wall: int) -> None:
        upload = self._upload(agent, hash_, wall)
        if upload is None:
            self._must_read(agent, hash_)
            return
        del self._uploads[agent, hash_]
        if upload.received != upload.size or upload.hash.hexdigest() != hash_:
            self._throw_away(upload)
            raise InvalidMessage(
                field="attachment", reason="the bytes do not have that SHA-256"
            )
        if self._sealed(hash_):
            self._throw_away(upload)
            self._store.blobs.own(hash_, agent)
        elif upload.name is not None:
            self._store.blobs.seal(upload.name)
            self._store.blobs.rename(upload.name, hash_)
        else:
            raise _not_begun()  # what they were compared with was purged meanwhile
        self._keep(hash_, wall)

    def read(self, agent: int, hash_: str, offset: int) -> tuple[int, bytes]:
        """Its size, and a piece of it."""
        blob = self._readable(agent, hash_)
        if blob is None:
            raise NotPermitted(reason="no attachment with that hash was sent to you")
        return blob.size, self._store.blobs.read(hash_, offset, CHUNK)

    def check(self, agent: int, attachments: list[list[Any]]) -> None:
        """Raise unless `agent` may send these along."""
        for hash_, size, name, _ in attachments:
            blob = self._readable(agent, hash_)
            if blob is None:
                reason = f"{name!r:.80} was not uploaded by you"
                raise InvalidMessage(field="attachments", reason=reason)
            if blob.size != size:
                reason = f"{name!r:.80} has {blob.size} bytes, not {size}"
                raise InvalidMessage(field="attachments", reason=reason)

    def forget(self, agent: int) -> None:
        """The last session of an agent ended: its uploads will not go on."""
        for key in [key for key in self._uploads if key[0] == agent]:
            self._throw_away(self._uploads.pop(key))

    # --- what there is -------------------------------------------------------------

    def _check_room(self, size: int) -> None:
        room = self._store.room()
        if size > room:
            raise BoundExceeded(bound="store", value=size, limit=room)

    def _sealed(self, hash_: str) -> Blob | None:
        blob = self._store.blobs.get(hash_)
        return blob if blob is not None and blob.sealed else None

    def _readable(self, agent: int, hash_: str) -> Blob | None:
        """One that is here, if this agent may read it."""
        blob = self._sealed(hash_)
        if blob is None or not self._store.blobs.readable(hash_, agent):
            return None
        return blob

    def _must_read(self, agent: int, hash_: str) -> Blob:
        """One that is no upload of this agent any more, because it is done."""
        blob = self._readable(agent, hash_)
        if blob is None:
            raise _not_begun()
        return blob

    def _keep(self, name: str, wall: int) -> None:
        """It is about to be used: its time to be purged starts anew."""
        blob = self._store.blobs.get(name)
        if blob is not None:
            self._store.blobs.begin(name, blob.size, blob.owner, wall)

    def _upload(self, agent: int, hash_: str, wall: int) -> _Upload | None:
        self._drop_idle(agent, wall)
        return self._uploads.get((agent, hash_))

    def _drop_idle(self, agent: int, wall: int) -> None:
        """Uploads of an agent that stand still are over."""
        for key, upload in list(self._uploads.items()):
            if key[0] == agent and upload.seen <= wall - UPLOAD_IDLE_MS:
                self._throw_away(self._uploads.pop(key))

    def _throw_away(self, upload: _Upload) -> None:
        if upload.name is not None:
            self._store.blobs.drop(upload.name)


def _not_begun() -> InvalidMessage:
    return InvalidMessage(field="sha256", reason="begin the upload first")
