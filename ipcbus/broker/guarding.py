"""The loop guard at work: messages on their way in are looked at, people are told.

`guards` decides about numbers and names; here they are made of agents, links and
rooms. Whatever comes over a link is judged as if its sender were an agent of here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ipcbus.broker.border import Arriving, refused
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import LOOP_STOPPED, NOT_PERMITTED
from ipcbus.broker.events import Log
from ipcbus.broker.guards import Guards, Trip, Words
from ipcbus.broker.links import Links
from ipcbus.broker.mailbox import Mailbox
from ipcbus.broker.rounds import Hears, Node, Said, Seen, is_room, said_by
from ipcbus.broker.routing import Route
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.errors import LoopStopped, NotPermitted, Repeated
from ipcbus.protocol.address import BROKER_NAME, OWN_IDS, Kind, fold
from ipcbus.protocol.messages import Draft

UNANSWERED = "nobody waits for an answer to {id}: it is an ack, or from the broker"


Notify = Callable[[Turn, list[int], str, Any], None]
"""`(turn, mailboxes, text, data)`."""

Looked = tuple[Said, Seen, Words]
"""What was found of messages alike, to be noted when they are accepted."""


class Guarding:
    def __init__(
        self, network: str, settings: Settings, directory: Directory, links: Links
    ) -> None:
        self._network = network
        self._human = settings.guard_human
        self._directory = directory
        self._links = links
        self._guards = Guards(settings, self._name)
        self._is_on = bool(
            settings.guard_pair or settings.guard_thread or settings.guard_repeats
        )
        self._notify: Notify | None = None

    def speak_through(self, notify: Notify) -> None:
        """What people are told is a message, and goes out the way all messages go."""
        self._notify = notify

    # --- looking -----------------------------------------------------------------

    def look(
        self,
        turn: Turn,
        sender: int,
        draft: Draft,
        ids: Sequence[str],
        body: bytes,
        route: Route,
    ) -> Looked | None:
        """At drafts alike, by the first of them. Raises `NotPermitted` for what answers
        what cannot be answered, `LoopStopped`, `Repeated`."""
        reply_to, to = draft.reply_to, draft.to
        if reply_to is not None:
            self._check_answered(reply_to)
        if not self._is_on:
            return None
        node: Node = to
        if to[0] not in "#*":
            box = route.boxes[0]
            node = box.number if box.blocked is None else fold(to)
        said = said_by(sender, node, draft.kind, draft.thread, reply_to)
        words = draft.meta, body
        try:
            return said, self._look(turn, said, ids[0], words, route.boxes), words
        except (LoopStopped, Repeated) as error:
            if len(ids) == 1:
                turn.counted[error.code] += 1
            raise

    def arriving(
        self, turn: Turn, said: Arriving, thread: str | None, body: bytes, route: Route
    ) -> Looked | None:
        """The same for what comes over a link. Raises the verdict. What goes on to a
        third network is for that one to judge, and brokers may say what they must."""
        sender = fold(said.sender)
        if sender.startswith(f"{BROKER_NAME}@"):
            return None
        if said.reply_to is not None:
            try:
                self._check_answered(said.reply_to)
            except NotPermitted as error:
                raise refused(NOT_PERMITTED, error.reason) from error
        if not self._is_on or said.to.kind is Kind.FOREIGN:
            return None
        move, to = said.move, said.to
        node: Node = route.boxes[0].number if to.kind is Kind.AGENT else str(to)
        what = said_by(sender, node, move.kind, thread, said.reply_to)
        words = move.meta, body
        try:
            return what, self._look(turn, what, said.id, words, route.boxes), words
        except (LoopStopped, Repeated) as error:
            turn.counted[error.code] += 1
            raise refused(LOOP_STOPPED, str(error)) from error

    def note(self, turn: Turn, looked: Looked | None, ids: Sequence[str]) -> None:
        """These were accepted."""
        if looked is not None:
            said, seen, words = looked
            self._guards.note(said, seen, ids, words, turn.now)

    def _look(
        self, turn: Turn, said: Said, id_: str, words: Words, boxes: list[Mailbox]
    ) -> Seen:
        to = said.to
        hears: Hears = _nobody
        if type(to) is str and is_room(to):
            hears = partial(self._hears, to, boxes)
        return self._guards.look(said, id_, words, turn.now, hears)

    def _check_answered(self, reply_to: str) -> None:
        if reply_to.startswith(OWN_IDS) or not self._guards.can_answer(reply_to):
            raise NotPermitted(reason=UNANSWERED.format(id=reply_to))

    def _hears(self, room: str, boxes: list[Mailbox], node: Node) -> bool:
        """Whether an agent, or the link to its network, reads a room of which `boxes`
        are the readers without who writes there now."""
        number = node if isinstance(node, int) else self._link(node)
        if any(box.number == number for box in boxes):
            return True
        if room == "*":
            return isinstance(node, int)
        return number in self._directory.readers(room[1:])

    def _link(self, address: str) -> int:
        link = self._links.towards(address.rpartition("@")[2])
        return 0 if link is None else link.number

    def _name(self, node: Node) -> str:
        return self._directory.name(node) if isinstance(node, int) else node

    # --- telling -----------------------------------------------------------------

    def tell(self, turn: Turn) -> None:
        """Of what was stopped: the log, and the person who wants to know, once."""
        if not self._guards.trips:
            return
        trips, self._guards.trips = self._guards.trips, []
        for trip in trips:
            text = f"the loop guard of {self._network} stopped a loop: {trip.reason}"
            turn.do(Log(text))
            self._tell_human(turn, trip, text)

    def _tell_human(self, turn: Turn, trip: Trip, text: str) -> None:
        human = self._directory.named(self._human) if self._human else None
        if human is None or not human.registered:
            return
        assert self._notify is not None
        data = {"event": LoopStopped.code, **trip._asdict()}
        self._notify(turn, [human.number], f"{text}.", data)

    def status(self, turn: Turn, agent: int) -> dict[str, Any]:
        """Of one agent; of all for 0."""
        return self._guards.status(turn.now, agent or None)


def _nobody(node: Node) -> bool:
    """Who reads what is no room."""
    return False
