"""What the broker itself writes to agents: bounces, and notices of what has changed.

These are messages like any other, from `ipcbus`, with `trust` `broker`. They are named
by their own seq, which is never used again, so their ids cannot clash.
"""

from __future__ import annotations

from typing import Any

from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import CODES, Ends
from ipcbus.broker.sending import Sending
from ipcbus.broker.turn import Turn
from ipcbus.protocol.address import BROKER_NAME, OWN_IDS
from ipcbus.protocol.limits import DEFAULT_PRIORITY
from ipcbus.protocol.messages import BOUNCE, CONTROL, TRUST_BROKER, Header, Meta
from ipcbus.protocol.pieces import pack_meta


class Notices:
    def __init__(self, directory: Directory, ends: Ends, sending: Sending) -> None:
        self._directory = directory
        self._ends = ends
        self._sending = sending
        ends.bounce_through(self.bounce)

    def bounce(
        self, turn: Turn, failed: Header, to: str, status: str, reason: str
    ) -> None:
        """Tell the sender of a message that it did not get to `to`."""
        number = self._ends.addressee(turn, failed)
        if number is None:
            return
        data = {
            "status": status,
            "code": CODES[status],
            "reason": reason,
            "to": to,
            "id": failed.id,
        }
        text = f"Your message {failed.id} to {to} could not be delivered: {reason}."
        header = self._header(turn, self._directory.name(number), BOUNCE, data)
        header = header._replace(thread=failed.thread, reply_to=failed.id)
        self._sending.post(turn, header, text.encode(), [number])

    def tell(self, turn: Turn, mailboxes: list[int], text: str, data: Any) -> None:
        """A notice to several agents, of kind `control`."""
        if mailboxes:
            header = self._header(turn, "*", CONTROL, data)
            self._sending.post(turn, header, text.encode(), mailboxes)

    def _header(self, turn: Turn, to: str, kind: str, data: Any) -> Header:
        return Header(
            f"{OWN_IDS}{self._sending.last_seq + 1}",
            BROKER_NAME,
            to,
            kind,
            DEFAULT_PRIORITY,
            turn.now.wall,
            None,
            None,
            None,
            TRUST_BROKER,
            None,
            None,
            pack_meta(Meta(data=data)),
        )
