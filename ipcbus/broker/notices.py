"""What the broker itself writes to agents: bounces, and notices of what has changed.

These are messages like any other, from `ipcbus`, with `trust` `broker`. They are named
by their own seq, which is never used again, so their ids cannot clash.
"""

from __future__ import annotations

from typing import Any

from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import CODES, REFUSED, TO_DO, Ends
from ipcbus.broker.links import Links
from ipcbus.broker.sending import Sending
from ipcbus.broker.turn import Turn
from ipcbus.protocol.address import BROKER_NAME, OWN_IDS, fold
from ipcbus.protocol.limits import DEFAULT_PRIORITY
from ipcbus.protocol.messages import ACK, BOUNCE, CONTROL, TRUST_BROKER, Header, Meta
from ipcbus.protocol.pieces import pack_meta


class Notices:
    def __init__(
        self, directory: Directory, links: Links, ends: Ends, sending: Sending
    ) -> None:
        self._directory = directory
        self._ends = ends
        self._sending = sending
        ends.speak_through(self.bounce, self.receipt, links)

    def bounce(
        self, turn: Turn, failed: Header, to: str, status: str, reason: str
    ) -> None:
        """Tell the sender of a message that it did not get to `to`."""
        number = self._ends.addressee(failed)
        if number is None:
            return
        id_ = at_origin(failed.id, failed)
        hint = TO_DO.get(status, "")
        data = {
            "status": status,
            "code": CODES.get(status, REFUSED),
            "reason": reason,
            "to": to,
            "id": id_,
            "hint": hint,
        }
        text = f"Your message {id_} to {to} could not be delivered: {reason}."
        text += f"\nWhat to do: {hint}." if hint else ""
        header = self._answer(turn, number, failed, BOUNCE, data)
        self._sending.post(turn, header, text.encode(), [number])

    def receipt(self, turn: Turn, message: Header, how: str) -> None:
        """Tell the sender of a message how far it came."""
        number = self._ends.addressee(message)
        if number is None:
            return
        id_ = at_origin(message.id, message)
        data = {"event": how, "id": id_, "to": message.to}
        header = self._answer(turn, number, message, ACK, data)
        text = f"Your message {id_} to {message.to} was {how}."
        self._say(turn, header, text, [number])

    def late(self, turn: Turn, message: Header, peer: str, reason: str) -> None:
        """Tell the sender of a message, once, that it still waits for a bridge."""
        number = self._ends.addressee(message)
        if number is None or message.trust == TRUST_BROKER:
            return
        id_ = at_origin(message.id, message)
        data = {"event": "late", "id": id_, "to": message.to, "reason": reason}
        text = (
            f"Your message {id_} to {message.to} still waits for the bridge to {peer}: "
            f"{reason}. It will be sent when that is over, or bounce."
        )
        header = self._answer(turn, number, message, CONTROL, data)
        self._say(turn, header._replace(reply_to=None), text, [number])

    def _answer(
        self, turn: Turn, number: int, message: Header, kind: str, data: Any
    ) -> Header:
        """To the sender of a message; over the link, if it came by one."""
        to = message.sender if message.hops else self._directory.name(number)
        header = self._header(turn, to, kind, data)
        return header._replace(thread=message.thread, reply_to=message.id)

    def tell(self, turn: Turn, mailboxes: list[int], text: str, data: Any) -> None:
        """A notice to several agents, of kind `control`."""
        if mailboxes:
            header = self._header(turn, "*", CONTROL, data)
            self._say(turn, header, text, mailboxes)

    def _say(self, turn: Turn, header: Header, text: str, mailboxes: list[int]) -> None:
        """Left out and counted if the store has no room for it: what it is about, an
        ack for example, must not fail for its sake. (An end that owes a bounce waits
        for room instead.)"""
        if self._ends.can_tell():
            self._sending.post(turn, header, text.encode(), mailboxes)
        else:
            turn.counted["unsaid"] += 1

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


def at_origin(id_: str, message: Header) -> str:
    """An id as the network calls it that `message` came from."""
    if not message.hops:
        return id_
    base, _, network = id_.rpartition("@")
    origin = message.sender.rpartition("@")[2]
    return base if fold(network) == fold(origin) else id_
