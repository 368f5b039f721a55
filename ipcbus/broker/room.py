"""Room in mailboxes: which of them can take a message, and what makes room for it."""

from __future__ import annotations

from collections.abc import Sequence

from ipcbus.broker.batch import Apart, Batch, is_full
from ipcbus.broker.directory import Directory
from ipcbus.broker.links import Link, Links
from ipcbus.broker.mailbox import BOTTOM, Mailbox
from ipcbus.broker.settings import Settings
from ipcbus.errors import BoundExceeded
from ipcbus.protocol.messages import Header
from ipcbus.protocol.pieces import unpack_header
from ipcbus.store.base import Mail
from ipcbus.store.records import Key, Waiting

LOOKED_AT = 100
"""Entries among which the oldest of a topic are looked for when they must make room."""

LOOKED_AT_BYTES = 1 << 24


class Room:
    """Bounds of mailboxes: those of the network, or a mailbox's own."""

    def __init__(
        self, mail: Mail, settings: Settings, directory: Directory, links: Links
    ) -> None:
        self._mail = mail
        self._settings = settings
        self._directory = directory
        self._links = links

    @property
    def _bounds(self) -> tuple[int, int]:
        return self._settings.mailbox_messages, self._settings.mailbox_bytes

    def find(
        self,
        batch: Batch,
        header: Header,
        boxes: list[Mailbox],
        sizes: Sequence[int],
        seq: int,
    ) -> list[Mailbox]:
        """Those that can take messages alike of these sizes, the first of them `seq`.

        Of one message, those that cannot go to `batch.full`, and `BoundExceeded` is
        raised if it is for one, and that is full. Of several, `Apart` is raised.
        """
        bounds, size = self._bounds, sum(sizes)
        if not any(is_full(box, size, bounds, len(sizes)) for box in boxes):
            return boxes
        if len(sizes) > 1:
            raise Apart
        if header.to[:1] == "#":
            for box in boxes:
                if box.blocked is not None and is_full(box, size, bounds):
                    self._make_room(batch, header, box, size)
        full = [box for box in boxes if is_full(box, size, bounds)]
        if full == boxes and len(boxes) == 1:
            raise self._full(boxes[0], size)
        batch.full += [(seq, header, box) for box in full]
        return [box for box in boxes if box not in full]

    def _make_room(self, batch: Batch, header: Header, box: Mailbox, size: int) -> None:
        """Where a rule says so, the oldest of a topic go for the newest; but none goes
        for nothing, nor for what is there already."""
        link = self._links.by_number(box.number)
        if not link.drops(header.to[1:]) or self._is_known(batch, header.id):
            return
        most, most_bytes = box.most or self._bounds
        messages, over = box.messages + 1 - most, box.bytes + size - most_bytes
        going: list[Waiting] = []
        page = self._mail.page(box.number, BOTTOM, LOOKED_AT, LOOKED_AT_BYTES)
        for waiting in page:
            if waiting.entry.seq not in box.leases and _may_go(waiting, link):
                going.append(waiting)
                messages, over = messages - 1, over - waiting.entry.size
            if messages <= 0 and over <= 0:
                self._give_up(batch, box, going)
                return

    def _is_known(self, batch: Batch, id_: str) -> bool:
        return self._mail.find(id_) is not None or any(
            row.id == id_ for row in batch.rows
        )

    def _give_up(self, batch: Batch, box: Mailbox, going: list[Waiting]) -> None:
        keys = [Key(*waiting.entry[:3]) for waiting in going]
        for waiting in going:
            box.rewind(waiting.entry[1:3])
            box.count(-1, -waiting.entry.size)
            batch.given_up.append(box)
        self._mail.remove(keys, keep=self._settings.history_ms > 0)

    def _full(self, box: Mailbox, size: int) -> BoundExceeded:
        name = self._directory.name(box.number)
        most, most_bytes = box.most or self._bounds
        if box.messages >= most:
            return BoundExceeded(
                bound=f"mailbox_messages of {name}", value=box.messages + 1, limit=most
            )
        return BoundExceeded(
            bound=f"mailbox_bytes of {name}", value=box.bytes + size, limit=most_bytes
        )


def _may_go(waiting: Waiting, link: Link) -> bool:
    to = unpack_header(waiting.header).to
    return to[:1] == "#" and link.drops(to[1:])
