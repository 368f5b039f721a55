"""What an `AsyncClient` can ask the broker; see `questions`."""

from __future__ import annotations

from typing import Any

from ipcbus.client import words
from ipcbus.client.keyring import key_moves
from ipcbus.errors import UsageError
from ipcbus.networks import find


class AsyncQuestions:
    """Part of `AsyncClient`."""

    @property
    def network(self) -> str:
        raise NotImplementedError

    @property
    def agent(self) -> str | None:
        raise NotImplementedError

    async def call(
        self, name: str, *args: Any, body: bytes = b"", timeout: float = 30.0
    ) -> tuple[Any, bytes]:
        raise NotImplementedError

    async def agents(self) -> list[words.Agent]:
        return words.agents_from(await self._listing("agents"))

    async def topics(self) -> list[words.Topic]:
        return words.topics_from(await self._listing("topics"))

    async def keys(self) -> list[words.Key]:
        """Who may connect; for operators."""
        return words.keys_from(await self._listing("keys"))

    async def _listing(self, name: str) -> list[list[Any]]:
        """All rows of a call that answers in pages."""
        rows, offset = words.listed(await self.call(name, 0))
        while offset:
            more, offset = words.listed(await self.call(name, offset))
            rows += more
        return rows

    async def join(self, pattern: str) -> list[str]:
        return words.patterns_from(await self.call("join", pattern))

    async def leave(self, pattern: str) -> list[str]:
        return words.patterns_from(await self.call("leave", pattern))

    async def rename(self, new: str, old: str | None = None) -> words.Renamed:
        former = old or self.agent
        if former is None:
            raise UsageError(reason="say which agent: rename(new, old)")
        with key_moves(find(self.network), former, new):
            return words.renamed_from(await self.call("rename", old, new))

    async def history(
        self,
        limit: int = 20,
        *,
        before: int | None = None,
        other: str | None = None,
        thread: str | None = None,
        body_limit: int = words.BODY_LIMIT,
    ) -> words.Page:
        name, args = words.history(limit, before, other, thread, body_limit)
        return words.page_from(await self.call(name, *args))

    async def search(
        self,
        query: str,
        limit: int = 20,
        *,
        before: int | None = None,
        body_limit: int = words.BODY_LIMIT,
    ) -> words.Page:
        name, args = words.search(query, limit, before, body_limit)
        return words.page_from(await self.call(name, *args))

    async def show(
        self, id_: str, *, offset: int = 0, body_limit: int = 1 << 20
    ) -> words.Record:
        page = words.page_from(await self.call("show", id_, offset, body_limit))
        return page.records[0]

    async def peek(
        self, limit: int = 20, *, body_limit: int = words.BODY_LIMIT
    ) -> words.Page:
        return words.page_from(await self.call("peek", limit, body_limit))

    async def dead(self, limit: int = 20, *, after: int = 0) -> words.DeadPage:
        return words.dead_from(await self.call("dead", limit, after))

    async def replay(self, id_: str | None = None) -> int:
        return await self._count("replay", id_)

    async def drop(self, id_: str | None = None) -> int:
        return await self._count("drop", id_)

    async def _count(self, name: str, id_: str | None) -> int:
        total = count = words.count_from(await self.call(name, id_))
        while id_ is None and count:
            count = words.count_from(await self.call(name, id_))
            total += count
        return total

    async def status(self) -> dict[str, Any]:
        return words.status_from(await self.call("status"))
