"""Attachments follow the message that refers to them, before it is handed over.

What many messages refer to is brought over once: the others wait for it. A few are
brought at once; the rest wait in the order in which they were wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import ipcbus
from ipcbus_bridges.ends import End
from ipcbus_bridges.moving import Item

CHUNK: Final = 256 * 1024
"""Bytes of one piece, as in the protocol."""

MOST_AT_ONCE: Final = 4
"""Uploads of a link that are under way at once: a thread each, and far fewer than a
broker lets one agent have."""

TRIES: Final = 5
"""Times an upload is begun again that another session or a new broker has upset."""

PASSING: Final = ("store", "uploads")
"""Bounds of a broker that a later upload may be within."""


class Brought(NamedTuple):
    """What came of an upload.

    Attributes:
        problem: why it failed, or "".
        later: it may come over at another time.
    """

    problem: str = ""
    later: bool = False


class Fetches:
    """What a link wants to be brought over, by hash. For one thread alone.

    Invariant: of each message that waits, the first attachment that has not come is in
    `_wanted`; what is in `_busy` is being brought.

    Args:
        start: begin to bring one over; `ended` is called when that is done.
        told: of a message whose attachments are all there, or one of which is not to be
            had.
    """

    def __init__(
        self,
        start: Callable[[str, int], None],
        told: Callable[[Item, Brought], None],
    ) -> None:
        self._start = start
        self._told = told
        self._wanted: dict[str, list[tuple[Item, int]]] = {}
        self._busy: set[str] = set()

    def want(self, item: Item, at: int = 0) -> None:
        """The attachments of a message, from the one `at` on."""
        attachments = item.move.attachments or ()
        if at == len(attachments):
            self._told(item, Brought())
        else:
            self._wanted.setdefault(attachments[at][0], []).append((item, at))

    def begin(self, is_awaited: Callable[[Item], bool]) -> None:
        """Start what may be; forget what nobody waits for any more."""
        self._wanted = {
            sha256: waiting
            for sha256, wanting in self._wanted.items()
            if (waiting := [each for each in wanting if is_awaited(each[0])])
        }
        for sha256, waiting in [*self._wanted.items()]:
            if sha256 not in self._busy and len(self._busy) < MOST_AT_ONCE:
                self._busy.add(sha256)
                item, at = waiting[0]
                self._start(sha256, item.move.attachments[at][1])  # type: ignore[index]

    def ended(self, sha256: str, brought: Brought) -> None:
        """What was started is over: go on with all who wait for it."""
        self._busy.discard(sha256)
        for item, at in self._wanted.pop(sha256, []):
            if brought.problem:
                name = item.move.attachments[at][2]  # type: ignore[index]
                said = f"attachment {name} did not come over: {brought.problem}"
                self._told(item, brought._replace(problem=said))
            else:
                self.want(item, at + 1)


def bring(source: End, destination: End, sha256: str, size: int) -> Brought:
    """Bring one over, if the destination does not have it.

    A connection that is lost on the way, or an answer that does not come, is no fault
    of the message: it comes again.
    """
    for left in reversed(range(TRIES)):
        try:
            _bring(source, destination, sha256, size)
            return Brought()
        except ipcbus.errors.InvalidMessage as error:
            if not left or error.field not in ("offset", "sha256"):
                return Brought(str(error))
        except (ipcbus.errors.NoBroker, ipcbus.errors.TimedOut) as error:
            return Brought(str(error), later=True)
        except ipcbus.errors.StoreFull as error:
            return Brought(str(error), later=True)
        except ipcbus.errors.BoundExceeded as error:
            return Brought(str(error), later=error.facts.get("bound") in PASSING)
        except ipcbus.IpcbusError as error:
            return Brought(str(error))
    raise AssertionError("the last try returns")


def _bring(source: End, destination: End, sha256: str, size: int) -> None:
    [there], _ = destination.ask("blob_begin", sha256, size)
    if 0 < size == there:
        return
    while there < size:
        _, piece = source.ask("blob_read", sha256, there)
        [there], _ = destination.ask("blob_write", sha256, there, body=piece[:CHUNK])
    destination.ask("blob_seal", sha256)
