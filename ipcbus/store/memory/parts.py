"""Names and attachments in memory: `base.Registry` and `base.Blobs`."""

from __future__ import annotations

from collections.abc import Mapping

from ipcbus.errors import NoSuchMessage
from ipcbus.store.memory.state import State, Upload
from ipcbus.store.records import Agent, AgentKey, Alias, Blob, Subscription


class MemoryRegistry:
    """`base.Registry` on `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put_agent(self, agent: Agent) -> None:
        self._state.write()
        self._state.agents.put(agent.number, agent)

    def delete_agent(self, number: int) -> None:
        self._state.write()
        self._state.agents.pop(number)
        self._state.totals.pop(number)

    def put_key(self, key: AgentKey) -> None:
        self._state.write()
        self._state.keys.put(key.key, key)

    def delete_key(self, key: str) -> None:
        self._state.write()
        self._state.keys.pop(key)

    def put_alias(self, alias: Alias) -> None:
        self._state.write()
        self._state.aliases.put(alias.name, alias)

    def delete_alias(self, name: str) -> None:
        self._state.write()
        self._state.aliases.pop(name)

    def put_subscription(self, subscription: Subscription) -> None:
        self._state.write()
        self._state.subscriptions.put(subscription, subscription)

    def delete_subscription(self, subscription: Subscription) -> None:
        self._state.write()
        self._state.subscriptions.pop(subscription)

    def put_pause(self, agent: int, paused: int) -> None:
        self._state.write()
        if paused:
            self._state.pauses.put(agent, True)
        else:
            self._state.pauses.pop(agent)

    def put_counters(self, counters: Mapping[str, int]) -> None:
        self._state.write()
        self._state.counters.put(0, dict(counters))


class MemoryBlobs:
    """`base.Blobs` on `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(self, sha256: str, size: int, owner: int, at: int) -> Blob:
        self._state.write()
        upload = self._state.blobs.get(sha256)
        if upload is None:
            self._state.blobs.put(sha256, Upload(size, 0, (), 0, owner, at))
        elif upload.unused_since:
            self._state.blobs.put(sha256, upload._replace(unused_since=at))
        return _blob(sha256, self._must_get(sha256))

    def get(self, sha256: str) -> Blob | None:
        upload = self._state.blobs.get(sha256)
        return _blob(sha256, upload) if upload else None

    def append(self, sha256: str, data: bytes) -> int:
        upload = self._must_get(sha256)
        self._state.write()
        self._state.use(len(data))
        stored = upload.stored + len(data)
        more = upload._replace(stored=stored, pieces=(*upload.pieces, data))
        self._state.blobs.put(sha256, more)
        return stored

    def restart(self, sha256: str) -> None:
        upload = self._must_get(sha256)
        self._state.write()
        if not upload.sealed:
            self._state.use(-upload.stored)
            self._state.blobs.put(sha256, upload._replace(stored=0, pieces=()))

    def seal(self, sha256: str) -> None:
        upload = self._must_get(sha256)
        self._state.write()
        self._state.blobs.put(sha256, upload._replace(sealed=1))

    def rename(self, upload: str, sha256: str) -> None:
        found = self._must_get(upload)
        self.drop(sha256)
        self._state.blobs.pop(upload)
        self._state.blobs.put(sha256, found)

    def drop(self, sha256: str) -> None:
        self._state.write()
        upload = self._state.blobs.pop(sha256)
        if upload is not None:
            self._state.use(-upload.stored)

    def own(self, sha256: str, agent: int) -> None:
        upload = self._must_get(sha256)
        self._state.write()
        others = upload.others | {agent}
        self._state.blobs.put(sha256, upload._replace(others=others))

    def read(self, sha256: str, offset: int, length: int) -> bytes:
        found, at = [], 0
        for piece in self._must_get(sha256).pieces:
            start, end = max(0, offset - at), max(0, offset + length - at)
            found.append(piece[start:end])
            at += len(piece)
        return b"".join(found)

    def link(self, seq: int, sha256: str) -> None:
        upload = self._must_get(sha256)
        self._state.write()
        others = self._state.links.get(seq) or ()
        if sha256 not in others:
            self._state.links.put(seq, (*others, sha256))
            self._state.linked.put((sha256, seq), True)
        self._state.blobs.put(sha256, upload._replace(unused_since=0))

    def readable(self, sha256: str, agent: int) -> bool:
        upload = self._state.blobs.get(sha256)
        if upload and (upload.owner == agent or agent in upload.others):
            return True
        for linked, seq in self._state.linked.after((sha256,)):
            if linked != sha256:
                break
            row = self._state.messages.get(seq)
            if row and agent in (row.sender, *self._state.mailboxes_of(row)):
                return True
        return False

    def _must_get(self, sha256: str) -> Upload:
        upload = self._state.blobs.get(sha256)
        if upload is None:
            raise NoSuchMessage(id=sha256, where="among the attachments")
        return upload


def _blob(sha256: str, upload: Upload) -> Blob:
    return Blob(sha256, upload.size, upload.stored, upload.sealed, upload.owner)
