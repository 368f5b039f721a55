"""One event of a session, from what the CLI says to what it is answered.

The order is the promise: what the last event has shown is settled; what is new is
leased and written out; and only when that has left the process it is written down, to
be acked when the model has answered. A hook that is killed on the way has only cost its
mail some minutes: it comes again, marked as seen before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from ipcbus.doors.notice import auto
from ipcbus.doors.notice.events import BATCH, END, EVENTS, START, STOP, TOOL, answer
from ipcbus.doors.notice.given import Given
from ipcbus.doors.notice.looking import (
    MOST,
    Taken,
    ask,
    connected,
    is_lost,
    is_there,
    leave,
    settle,
    take,
    wait_for,
)
from ipcbus.doors.notice.memory import MOST_SHOWN, Memory, Shown, State, end
from ipcbus.errors import IpcbusError
from ipcbus.networks import Network

if TYPE_CHECKING:
    from ipcbus.client.sync import Client
    from ipcbus.doors.notice.words import Page

PATIENCE_S: Final = 1.0
"""Seconds for a broker that is there and does not answer."""

SHORT_PATIENCE_S: Final = 0.12
"""The same in the midst of a turn: the next event comes soon."""

Write = Callable[[str], None]


class Event(NamedTuple):
    """Attributes:
    kind: one of `events`.
    patience: seconds.
    """

    tool: str
    name: str
    kind: str
    given: Given
    patience: float


def hook(
    tool: str,
    name: str,
    given: Given,
    networks: Sequence[Network],
    agent: str,
    write: Write,
    patience: float | None = None,
) -> None:
    """Answer an event. `write` raises if nobody reads.

    Raises nothing because of a broker: there is none, or it has nothing to say.
    """
    kind = EVENTS[tool][name]
    if patience is None:
        patience = SHORT_PATIENCE_S if kind in (BATCH, TOOL) else PATIENCE_S
    event = Event(tool, name, kind, given, patience)
    visits = [Visit(event, network, agent) for network in networks]
    try:
        room = MOST
        for visit in visits:
            # One of each, however many networks: none of them waits for the others.
            room -= visit.go(max(1, room))
        pages = [visit.page for visit in visits if visit.page is not None]
        if pages:
            from ipcbus.doors.notice.words import told

            write(answer(tool, name, told(pages)))
        for visit in visits:
            visit.remember()
    finally:
        for visit in visits:
            visit.leave()


class Visit:
    """One network at one event."""

    def __init__(self, event: Event, network: Network, agent: str) -> None:
        self._event = event
        self._network = network
        self._agent = agent
        self._memory = Memory(network, event.tool, agent, event.given.session)
        self._client: Client | None = None
        self._before = State()
        self._kept: list[Shown] = []
        self._taken: Taken | None = None
        self._looked = False
        self._newest = 0
        self._is_written = False
        self.page: Page | None = None

    def go(self, most: int = MOST) -> int:
        """Settle what was shown, and lease what is new; how many messages that are,
        `most` at most, for what is leased and has no room would never be seen."""
        kind = self._event.kind
        if kind == START:
            self._memory.sweep()
        self._before = self._memory.change(partial(_begun, kind=kind))
        if not is_lost(kind, self._event.given.source):
            self._kept = [*self._before.shown]  # until a broker has heard of it
        if kind == END:
            end(self._before.waiter)
            self._memory.forget()
        with suppress(IpcbusError):
            if is_there(self._network):
                self._talk(most)
        return len(self._taken.messages) if self._taken else 0

    def _talk(self, most: int) -> None:
        event, shown = self._event, self._before.shown
        is_due = event.kind != END and self._is_due()
        if not shown and not is_due:
            return
        program = f"ipcbus hook {event.tool}"
        client = connected(self._network, self._agent, event.patience, program)
        self._client = client
        self._kept, asked = settle(client, shown, event.kind, event.given.source)
        if is_due:
            self._look(client, most)
        wait_for(asked, event.patience)

    def _is_due(self) -> bool:
        """Whether the agent wants to hear of its mail now."""
        wish = auto.read(self._network, self._agent)
        return auto.is_due(wish, self._before.looked or None, time.time())

    def _look(self, client: Client, most: int) -> None:
        going_on = self._event.kind == STOP and self._event.given.going_on
        # A turn that goes on because of mail goes on again for newer mail only.
        after = self._before.blocked if going_on else 0
        news = ask(client, after, self._event.patience)
        self._looked = True
        if not news.waiting:
            return
        taken = take(client, most)
        if not taken.messages:
            return  # another session was quicker; receipts alone are no news
        from ipcbus.doors.notice.page import page_of

        self._taken, self._newest = taken, news.newest
        self.page = page_of(self._network, self._agent, taken, news)

    def remember(self) -> None:
        """All was written, and there is somebody who reads."""
        self._is_written = True
        if self._event.kind != END:
            self._memory.change(self._after)

    def _after(self, state: State) -> State:
        """What is known now; hooks that ran meanwhile have written too."""
        event = self._event
        new = self._taken.shown(event.kind) if self._taken else []
        shown = {one.id: one for one in (*state.shown, *self._kept, *new)}
        stops = event.kind == STOP
        return state._replace(
            shown=tuple(shown.values())[-MOST_SHOWN:],
            working=state.working if not stops else bool(new),
            blocked=self._newest if stops and new else state.blocked,
            looked=time.time() if self._looked else state.looked,
        )

    def leave(self) -> None:
        if self._client is not None:
            leave(self._client, keep=self._is_written and self._taken is not None)


def _begun(state: State, kind: str) -> State:
    """An event has come, and takes upon itself what was shown."""
    working = kind not in (START, STOP, END)
    working = state.working if kind == STOP else working
    return state._replace(shown=(), kind=kind, at=time.time(), working=working)
