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
            self._state.blobs.put(sha256, Upload(size, b"", 0, owner, at))
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
        whole = upload.data + data
        self._state.blobs.put(sha256, upload._replace(data=whole))
        return len(whole)

    def restart(self, sha256: str) -> None:
        upload = self._must_get(sha256)
        self._state.write()
        if not upload.sealed:
            self._state.use(-len(upload.data))
            self._state.blobs.put(sha256, upload._replace(data=b""))

    def seal(self, sha256: str) -> None:
        upload = self._must_get(sha256)
        self._state.write()
        self._state.blobs.put(sha256, upload._replace(sealed=1))

    def read(self, sha256: str, offset: int, length: int) -> bytes:
        return self._must_get(sha256).data[offset : offset + length]

    def link(self, seq: int, sha256: str) -> None:
        upload = self._must_get(sha256)
        self._state.write()
        self._state.links.put((seq, sha256), True)
        self._state.blobs.put(sha256, upload._replace(unused_since=0))

    def readable(self, sha256: str, agent: int) -> bool:
        upload = self._state.blobs.get(sha256)
        if upload and upload.owner == agent:
            return True
        for seq, linked in self._state.links.in_order():
            row = self._state.messages.get(seq)
            if linked == sha256 and row:
                got = self._state.recipients.get(seq) or ()
                if agent in (row.sender, row.mailbox, *got):
                    return True
        return False

    def _must_get(self, sha256: str) -> Upload:
        upload = self._state.blobs.get(sha256)
        if upload is None:
            raise NoSuchMessage(id=sha256, where="among the attachments")
        return upload


def _blob(sha256: str, upload: Upload) -> Blob:
    return Blob(sha256, upload.size, len(upload.data), upload.sealed, upload.owner)
