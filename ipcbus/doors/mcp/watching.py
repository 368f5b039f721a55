"""Telling subscribers that a resource changed.

While somebody is subscribed, and only then, the state of what they look at is asked for
each second: one or two small calls, which lease nothing. The broker's `news` can wait
for mail instead, but only once for each session, and that is the tool `wait`; and
nothing tells of agents.

The handshake era is told by `notifications/resources/updated`, the modern one on its
`subscriptions/listen` stream; both give a `tell` here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import anyio
from anyio import to_thread
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from ipcbus.client.sync import Client
from ipcbus.doors.mcp.desks import Desks
from ipcbus.doors.tools.desk import Desk
from ipcbus.errors import IpcbusError

INBOX: Final = "ipcbus://inbox"
AGENTS: Final = "ipcbus://agents"
STATUS: Final = "ipcbus://status"

POLL_S: Final = 1.0
"""Seconds between two looks; a call costs the broker less than a message does."""

MOST: Final = 256
"""Subscriptions at once."""

Tell = Callable[[str], Awaitable[object]]
"""Say that the resource of this address changed."""


class Interest:
    """What one subscriber looks at, and how it was when it was last told.

    Attributes:
        key: of the client in `Desks`; when that has gone, so has the interest.
    """

    def __init__(self, key: str, desk: Desk, uris: Iterable[str], tell: Tell) -> None:
        self.key = key
        self.tell = tell
        self._desk = desk
        self._states: dict[str, object] = dict.fromkeys(uris)

    def look(self) -> list[str]:
        """The resources that are not as they were. Waits for brokers."""
        changed = []
        for uri, before in self._states.items():
            now = state(self._desk, uri, before)
            if now != before:
                self._states[uri] = now
                changed.append(uri)
        return changed


class Watch:
    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self._interests: dict[object, Interest] = {}
        self._wanted = anyio.Event()

    async def add(self, token: object, interest: Interest) -> None:
        """From now on, until `drop(token)`. Raises `MCPError`."""
        if len(self._interests) >= MOST:
            raise MCPError(INTERNAL_ERROR, f"there are {MOST} subscriptions already")
        await _looked(interest)
        self._interests[token] = interest
        self._wanted.set()

    def drop(self, token: object) -> None:
        self._interests.pop(token, None)

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            await anyio.sleep(POLL_S)
            async with anyio.create_task_group() as looks:
                for token, interest in [*self._interests.items()]:
                    looks.start_soon(self._look, token, interest)
            if not self._interests:
                self._wanted = anyio.Event()

    async def _look(self, token: object, interest: Interest) -> None:
        if not self._desks.has(interest.key):
            self.drop(token)
            return
        for uri in await _looked(interest):
            try:
                await interest.tell(uri)
            except Exception:  # noqa: BLE001  whatever it is, they do not listen
                self.drop(token)
                return


async def _looked(interest: Interest) -> list[str]:
    return await to_thread.run_sync(interest.look, abandon_on_cancel=True)


def state(desk: Desk, uri: str, before: object) -> object:
    """Something that is equal to `before` unless the resource changed."""
    try:
        return tuple(_OF[uri](client) for client in desk.clients())
    except IpcbusError as error:
        # Who cannot be asked has no news, but that is the status.
        return error.code if uri == STATUS else before


def _inbox(client: Client) -> object:
    """How many news wait, and the newest: acks and receipts are none."""
    (news, newest, _, _), _ = client.call("news", 0, 0)
    return news, newest


def _agents(client: Client) -> object:
    return {
        (each.name, bool(each.sessions), tuple(each.topics or ()))
        for each in client.agents()
    }


_COUNTED: Final = ("agents", "sessions", "volatile", "paused")


def _status(client: Client) -> object:
    said: dict[str, Any] = client.status()
    (_, _, _, waiting), _ = client.call("whoami")
    return client.epoch, waiting, [said.get(name) for name in _COUNTED]


_OF: Final[dict[str, Callable[[Client], object]]] = {
    INBOX: _inbox,
    AGENTS: _agents,
    STATUS: _status,
}
