"""Ask a broker for news of one agent, settle what was shown, and lease what is new.

No broker is ever started here: who has no mail must not pay for one. And nobody waits
long for one that does not answer, for a person or a model waits for this.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ipcbus.doors.notice.events import BATCH, END, PROMPT, START, TOOL
from ipcbus.doors.notice.memory import Shown
from ipcbus.errors import IpcbusError
from ipcbus.networks import Network

if TYPE_CHECKING:
    from ipcbus.client.message import Message
    from ipcbus.client.pending import Pending
    from ipcbus.client.sync import Client

    Asked = Pending[tuple[Any, bytes]]

LEASE_S: Final = 600.0
"""Seconds until the next event of a session has to come, or its mail comes again."""

MOST: Final = 5
"""Messages that are shown at one event. The rest comes at the next."""

MOST_BYTES: Final = 64 * 1024
"""Of their bodies; one message of any size always comes."""

ROUNDS: Final = 20
"""Fetches until as many are there: receipts may come first."""

GOODBYE_S: Final = 0.3

COMPACTED: Final = "compact"
"""The source of a start at which a session goes on, with what came before."""


def is_there(network: Network) -> bool:
    """Whether somebody may serve it. The look is cheap, the library of sockets is
    not, and most agents have no broker most of the time."""
    if network.saved().remote is not None:
        return True
    info = network.broker_info()
    return info is not None and (info.is_alive() or network.is_served())


def connected(network: Network, agent: str, patience: float, program: str) -> Client:
    """A session of `agent`. Raises `IpcbusError`."""
    from ipcbus.client.connect import connect

    return connect(
        network.name, agent=agent, start=False, timeout=patience, program=program
    )


# --- what was shown ------------------------------------------------------------


def settle(
    client: Client, shown: Iterable[Shown], kind: str, source: str | None
) -> tuple[list[Shown], list[Asked]]:
    """This event is the sign that what was shown has been seen, so ack it; or it is a
    sign that nobody saw it, so give it back. What must wait for another sign, and the
    calls that are under way.
    """
    now = time.time()
    kept: list[Shown] = []
    asked: list[Asked] = []
    words: tuple[str, str, int, str | None]
    for one in shown:
        if one.until <= now:
            continue  # it comes again, or somebody else has it by now
        if is_lost(kind, source):
            words = ("nack", one.id, 0, "the session that it was shown to ended")
        elif _is_seen(one.at, kind):
            words = ("ack", one.id, 0, None)
        else:
            words = ("extend", one.id, int(LEASE_S * 1000), None)
            kept.append(one._replace(until=now + LEASE_S))
        asked.append(client.start_call("settle", *words))
    return kept, asked


def is_lost(kind: str, source: str | None) -> bool:
    """Whether nobody is left who could have seen what was shown."""
    return kind == END or (kind == START and source != COMPACTED)


def _is_seen(at: str, kind: str) -> bool:
    """Whether an event of `kind` proves that the model has read what one `at` showed.

    It must come after an answer of the model. A prompt and a compaction come before
    the model is asked. Nor does one tool prove anything about another: they run at
    once, and the model reads their results together, at the end of a batch of them.
    """
    if kind in (START, PROMPT):
        return False
    return not (at == TOOL and kind in (TOOL, BATCH))


def wait_for(asked: Sequence[Asked], patience: float) -> None:
    """Until all is settled. One whose lease has gone is none of ours any more."""
    end = time.monotonic() + patience
    for one in asked:
        one.wait(max(0.0, end - time.monotonic()))


# --- what is new ---------------------------------------------------------------


class News(NamedTuple):
    """Attributes:
    waiting: messages that wait, receipts not counted.
    newest: seq of the last of them.
    """

    waiting: int
    newest: int


class Taken(NamedTuple):
    """What was leased."""

    messages: list[Message]
    receipts: list[Message]

    def shown(self, kind: str) -> list[Shown]:
        until = time.time() + LEASE_S
        return [Shown(one.id, until, kind) for one in (*self.messages, *self.receipts)]


def ask(client: Client, after: int, patience: float) -> News:
    """What is newer than `after`. Nothing is leased, and no attempt counted."""
    (waiting, newest, *_), _ = client.call("news", after, 0, timeout=patience)
    return News(waiting, newest)


def take(client: Client, most: int = MOST) -> Taken:
    """Lease a page of mail. Receipts that stand before it come along."""
    taken = Taken([], [])
    for _ in range(ROUNDS):
        found, _ = client.fetch(
            most - len(taken.messages), MOST_BYTES, lease=LEASE_S, timeout=0.0
        )
        real = [message for message in found if message.kind != "ack"]
        taken.messages.extend(real)
        taken.receipts.extend(message for message in found if message.kind == "ack")
        if len(real) == len(found) or len(taken.messages) >= most:
            break
    return taken


def leave(client: Client, *, keep: bool) -> None:
    """Say goodbye. What is leased stays so with `keep`; else it was never shown."""
    with suppress(IpcbusError):
        client.close(GOODBYE_S, keep_leases=keep)
