"""What a `Client` can ask the broker, each a call and its answer read."""

from __future__ import annotations

from typing import Any

from ipcbus.client import words
from ipcbus.client.keyring import key_moves
from ipcbus.errors import UsageError
from ipcbus.networks import find


class Questions:
    """Part of `Client`; see `protocol.calls` for who may ask what."""

    @property
    def network(self) -> str:
        raise NotImplementedError

    @property
    def agent(self) -> str | None:
        raise NotImplementedError

    def call(
        self, name: str, *args: Any, body: bytes = b"", timeout: float = 30.0
    ) -> tuple[Any, bytes]:
        """Make a call of the protocol by its name; the value and body of its answer."""
        raise NotImplementedError

    def agents(self) -> list[words.Agent]:
        return words.agents_from(self._listing("agents"))

    def topics(self) -> list[words.Topic]:
        return words.topics_from(self._listing("topics"))

    def keys(self) -> list[words.Key]:
        """Who may connect; for operators."""
        return words.keys_from(self._listing("keys"))

    def _listing(self, name: str) -> list[list[Any]]:
        """All rows of a call that answers in pages."""
        rows, offset = words.listed(self.call(name, 0))
        while offset:
            more, offset = words.listed(self.call(name, offset))
            rows += more
        return rows

    def join(self, pattern: str) -> list[str]:
        """Get what is sent to topics that `pattern` matches; all patterns joined."""
        return words.patterns_from(self.call("join", pattern))

    def leave(self, pattern: str) -> list[str]:
        return words.patterns_from(self.call("leave", pattern))

    def rename(self, new: str, old: str | None = None) -> words.Renamed:
        """Take another name; mail to the former one is forwarded for a while.

        The key moves along, if it is kept on this machine.
        """
        former = old or self.agent
        if former is None:
            raise UsageError(reason="say which agent: rename(new, old)")
        with key_moves(find(self.network), former, new):
            return words.renamed_from(self.call("rename", old, new))

    def history(
        self,
        limit: int = 20,
        *,
        before: int | None = None,
        other: str | None = None,
        thread: str | None = None,
        body_limit: int = words.BODY_LIMIT,
    ) -> words.Page:
        """Messages sent and received, newest first."""
        name, args = words.history(limit, before, other, thread, body_limit)
        return words.page_from(self.call(name, *args))

    def search(
        self,
        query: str,
        limit: int = 20,
        *,
        before: int | None = None,
        body_limit: int = words.BODY_LIMIT,
    ) -> words.Page:
        """The same, by words in body and data."""
        name, args = words.search(query, limit, before, body_limit)
        return words.page_from(self.call(name, *args))

    def show(
        self, id_: str, *, offset: int = 0, body_limit: int = 1 << 20
    ) -> words.Record:
        """One message, its body from `offset` on. Raises `NoSuchMessage`."""
        page = words.page_from(self.call("show", id_, offset, body_limit))
        return page.records[0]

    def peek(
        self, limit: int = 20, *, body_limit: int = words.BODY_LIMIT
    ) -> words.Page:
        """What waits, without taking it."""
        return words.page_from(self.call("peek", limit, body_limit))

    def dead(self, limit: int = 20, *, after: int = 0) -> words.DeadPage:
        return words.dead_from(self.call("dead", limit, after))

    def replay(self, id_: str | None = None) -> int:
        """Let dead letters wait again: one message's, or all; how many."""
        return self._count("replay", id_)

    def drop(self, id_: str | None = None) -> int:
        """Forget dead letters: one message's, or all; how many."""
        return self._count("drop", id_)

    def _count(self, name: str, id_: str | None) -> int:
        """Of all, the broker moves a page in a call: ask until there are none."""
        total = count = words.count_from(self.call(name, id_))
        while id_ is None and count:
            count = words.count_from(self.call(name, id_))
            total += count
        return total

    def status(self) -> dict[str, Any]:
        return words.status_from(self.call("status"))
