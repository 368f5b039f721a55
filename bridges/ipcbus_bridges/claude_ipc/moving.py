"""Moving in: what was planned is carried out, as often as it takes.

Each step can be done again: an agent that is there is there, and a message has an id
made of its old row, by which the network knows it, and is noted in the door's file when
it was stored, because the network forgets ids in the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import ipcbus
from ipcbus_bridges.claude_ipc import mail
from ipcbus_bridges.claude_ipc.names import fold, to_agent
from ipcbus_bridges.claude_ipc.olddata import OldData, OldMessage
from ipcbus_bridges.claude_ipc.plan import Move, Plan, by_sender, make
from ipcbus_bridges.claude_ipc.state import State

BUS_S: Final = 60.0
PAGE: Final = 500
AT_ONCE: Final = 32
"""Calls under way: what comes together is one transaction."""

LARGEST: Final = 1000 * 1024
"""Bytes of a large message that are told as its text."""

PROGRAM: Final = "ipcbus import"

Progress = Callable[[str, int, int], object]
"""Told what is being done, how much of it is, and how much there is."""


class Moved(NamedTuple):
    """What was done. `past`: messages that had been read, and are history now; `again`:
    messages that had been moved in before; `files`: large messages that went along;
    `failed`: why others were not taken."""

    names: int
    renames: int
    sessions: int
    messages: int
    past: int
    again: int
    files: int
    failed: list[str]


def plan(network: str, folder: Path, old: OldData) -> Plan:
    """What would be moved into a network."""
    with ipcbus.connect(network, agent="", program=PROGRAM) as operator:
        there = [agent.name for agent in operator.agents() if agent.registered]
    ours = _ours(folder)
    return make(old, there, lambda agent: fold(agent) in ours, time.time())


def _ours(folder: Path) -> set[str]:
    """Agents that came from claude-ipc. Looks without making the file."""
    if not State.is_there(folder):
        return set()
    state = State(folder)
    try:
        return set(state.last_seen())
    finally:
        state.close()


def carry_out(
    network: str, folder: Path, old: OldData, planned: Plan, progress: Progress
) -> Moved:
    """Raises what keeps it from going on; what was done is not done again."""
    state = State(folder)
    try:
        return _Moving(network, state, old, planned, progress).run()
    finally:
        state.close()


class _Moving:
    def __init__(
        self,
        network: str,
        state: State,
        old: OldData,
        planned: Plan,
        progress: Progress,
    ) -> None:
        self._network = network
        self._state = state
        self._old, self._plan = old, planned
        self._progress = progress
        self._files = 0
        self._tried = 0
        self._failed: list[str] = []

    def run(self) -> Moved:
        planned = self._plan
        self._renames()
        self._names()
        now = time.time()
        for one in planned.sessions:
            agent = to_agent(one.name)
            self._state.open_session(agent, one.hashed, one.expires, now)
        messages = self._messages()
        past = self._past()
        again = len(planned.moves) + len(planned.past) - self._tried
        return Moved(
            len(planned.claims),
            len(planned.renames),
            len(planned.sessions),
            messages,
            past,
            again,
            self._files,
            self._failed,
        )

    def _renames(self) -> None:
        """First, so that few agents are there to be told of it."""
        for old, new in self._plan.renames:
            self._state.claim(new, self._plan.claims[new])
            with self._as(to_agent(old)) as client:
                client.rename(to_agent(new))

    def _names(self) -> None:
        """Claimed before they are registered: no door takes them for anybody else's."""
        claims = self._plan.claims
        for done, (name, seen) in enumerate(claims.items(), 1):
            agent = self._state.claim(name, seen).agent
            self._as(agent).close()
            self._progress("names", done, len(claims))

    def _messages(self) -> int:
        fresh = list(self._fresh(self._plan.moves))
        stored = done = 0
        for moves in by_sender(fresh):
            with self._as(moves[0].sender) as client:
                for at in range(0, len(moves), PAGE):
                    some = moves[at : at + PAGE]
                    ids = self._send(client, some)
                    self._state.add_moved(ids)
                    stored += len(ids)
                    done += len(some)
                    self._progress("messages", done, len(fresh))
        return stored

    def _past(self) -> int:
        """What was read is delivered to nobody any more: it is history at once."""
        fresh = list(self._fresh(self._plan.past))
        stored = 0
        with self._as("") as operator, ThreadPoolExecutor(AT_ONCE) as pool:
            remember = partial(self._remember, operator)
            for at in range(0, len(fresh), PAGE):
                some = fresh[at : at + PAGE]
                stays = zip(some, pool.map(remember, some), strict=True)
                ids = [move.id for move, is_stored in stays if is_stored]
                self._state.add_moved(ids)
                stored += len(ids)
                self._progress("history", at + len(some), len(fresh))
        return stored

    def _remember(self, operator: ipcbus.Client, move: Move) -> bool:
        text = mail.moved_line(move.message.sent_at) + self._whole(move.message)
        words = (move.id, move.sender, move.to)
        try:
            operator.call("remember", *words, body=text.encode(errors="replace"))
        except _GONE:
            raise
        except ipcbus.IpcbusError as error:
            where = f"row {move.message.row}, {move.sender} to {move.to}"
            self._failed.append(f"{where}: {error}")
            return False
        return True

    def _whole(self, message: OldMessage) -> str:
        """All that it said, in one text."""
        file = self._old.file_of(message)
        if file is not None and file.stat().st_size <= LARGEST:
            return file.read_text(errors="replace")
        data = f"\n[data: {json.dumps(message.data)}]" if message.data else ""
        return message.content + data

    def _fresh(self, moves: list[Move]) -> Iterator[Move]:
        """Those that were not moved in before."""
        for at in range(0, len(moves), PAGE):
            some = moves[at : at + PAGE]
            known = self._state.moved([move.id for move in some])
            fresh = [move for move in some if move.id not in known]
            self._tried += len(fresh)
            yield from fresh

    def _send(self, client: ipcbus.Client, moves: list[Move]) -> list[str]:
        """The ids of those that were stored. One that is not taken stops no other; a
        network that does not answer does."""
        made = [self._outgoing(client, move) for move in moves]
        stored = []
        for move, outcome in zip(
            moves, client.send_many(made, timeout=BUS_S), strict=True
        ):
            if isinstance(outcome, ipcbus.Receipt):
                stored.append(move.id)
            elif isinstance(outcome, _GONE):
                raise outcome
            else:
                where = f"row {move.message.row}, {move.sender} to {move.to}"
                self._failed.append(f"{where}: {outcome}")
        return stored

    def _outgoing(self, client: ipcbus.Client, move: Move) -> ipcbus.Outgoing:
        message = move.message
        attach: tuple[ipcbus.Attachment, ...] = ()
        file = self._old.file_of(message)
        if file is not None:
            attach = (client.upload(file),)
            self._files += 1
        return ipcbus.Outgoing(
            move.to,
            mail.moved_line(message.sent_at) + message.content,
            data=message.data or None,
            id=move.id,
            future=move.is_future,
            attach=attach,
            headers={mail.SENT_HEADER: message.sent_at},
        )

    def _as(self, agent: str) -> ipcbus.Client:
        return ipcbus.connect(self._network, agent=agent, program=PROGRAM)


_GONE: Final = (ipcbus.errors.NoBroker, ipcbus.errors.TimedOut)
