"""Who goes round in circles: turns of a conversation that come back to who began it.

A **turn** is one message, or many that follow each other in one direction. It closes a
**round** when it goes back to somebody whose words it may answer:

    an answer to an answer   that goes to one in its chain of `reply_to`, however long
                             the round is: this is known, not guessed
    a fresh message A to B   if since A's last to B one came from B; or one came from a
                             C to which B has written since then
    to a topic or `*`        if the sender reads it too, and since its last one there
                             came one from another who does, there or in private
    a request, asked back    once the two have asked each other in 20 turns, and
                             neither has answered anything in between

Free are streams in one direction whatever they say, a request that begins something,
the first answer of each agent to what is no answer itself, and acks, which nobody can
answer. So a stream leaves one number behind for each pair, and a request with its
answer nothing that counts later.

Memory is bounded; what is forgotten is free again. A takeover forgets all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from ipcbus.protocol.messages import ACK, REQUEST

Node = int | str
"""An agent of here by its number, a foreign one by its address (folded), or a room: a
topic with its #, or `*`."""

Members = frozenset[Node]
"""Who goes round; or one agent and a room, whoever else speaks there."""

Hears = Callable[[Node], bool]
"""Whether an agent reads the room that a message goes to."""

MOST: Final = 32_768
"""Of each kind that is remembered: some 10 MB if all are full."""

MOST_ROOMS: Final = 4096

LOOKED_AT: Final = 8
"""Who wrote to an agent last, and who took part in a chain of answers: no more."""

ASKED_BACK: Final = 20
"""Turns of requests between two who answer nothing; more are no questions."""

NOBODY: Final[Members] = frozenset()

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """What was put there last, up to a bound."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def put(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


def said_by(
    sender: Node, to: Node, kind: str, thread: str | None, reply_to: str | None
) -> Said:
    """`Said(...)`, in half of the time: one is made for every message."""
    return tuple.__new__(Said, (sender, to, kind, thread, reply_to))


class Said(NamedTuple):
    """What the guard looks at in a message; `to` is one agent or one room."""

    sender: Node
    to: Node
    kind: str
    thread: str | None
    reply_to: str | None


class Seen(NamedTuple):
    """What was found of a message.

    Attributes:
        closes: who goes round by it; nobody if it closes no round.
        talk: the conversation it belongs to: its thread, or what its chain began with.
        counts: whether later messages are judged by it.
    """

    closes: Members
    talk: str | None = None
    counts: bool = True


FREE: Final = Seen(NOBODY, counts=False)
PLAIN: Final = Seen(NOBODY)

FIRST: Final[tuple[Node, int]] = "", 0
"""Nobody has asked yet."""


class Answer(NamedTuple):
    """A message that answers: who took part in its chain, and what that began with."""

    path: tuple[Node, ...]
    root: str


class Rounds:
    """What was said of late, as far as it tells who answers whom."""

    def __init__(self) -> None:
        self._count = 0
        self._last: Recent[tuple[Node, Node], int] = Recent(MOST)
        """When the one wrote to the other last, counted in messages."""
        self._heard: Recent[Node, tuple[Node, ...]] = Recent(MOST)
        """Who wrote to an agent last; the latest at the end."""
        self._rooms: Recent[Node, tuple[Node, ...]] = Recent(MOST_ROOMS)
        """Who spoke in a room last; the latest at the end."""
        self._asked: Recent[str, None] = Recent(MOST)
        """Ids of requests that began something."""
        self._asking: Recent[Members, tuple[Node, int]] = Recent(MOST)
        """Of two: who asked last, and how often that changed since an answer."""
        self._answers: Recent[str, Answer] = Recent(MOST)
        self._answered: Recent[tuple[str, Node], None] = Recent(MOST)
        """Who has answered what."""
        self.acks: Recent[str, None] = Recent(MOST)
        """Ids of acks; nobody can answer those."""

    def look(self, said: Said, id_: str, hears: Hears) -> Seen:
        """Changes nothing; `id_` is that of the message, or the first of many alike."""
        _, _, kind, thread, reply_to = said
        if kind == ACK:
            return FREE
        if reply_to is not None:
            return self._answer(said, reply_to, id_, hears)
        if kind == REQUEST:
            return self._request(said)
        closes = self._fresh(said, hears)
        return Seen(closes, thread) if closes else PLAIN

    def _request(self, said: Said) -> Seen:
        ends = _there(said)
        last, turns = self._asking.get(ends, FIRST)
        if turns < ASKED_BACK or last == said.sender:
            return FREE
        return Seen(ends, said.thread, counts=False)

    def _answer(self, said: Said, reply_to: str, id_: str, hears: Hears) -> Seen:
        parent = self._answers.get(reply_to)
        if parent is None and (reply_to, said.sender) not in self._answered:
            return FREE if reply_to in self._asked else PLAIN
        if id_ in self._answers:
            return FREE  # sent again, after a lost connection
        if parent is None:
            return Seen(self._fresh(said, hears), said.thread or reply_to)
        closes = self._along(parent.path, said) or self._fresh(said, hears)
        return Seen(closes, said.thread or parent.root)

    def note(self, said: Said, seen: Seen, ids: Sequence[str]) -> None:
        """It was accepted."""
        if said.reply_to is not None and said.kind != ACK:
            self._note_answers(said, said.reply_to, ids)
        elif not seen.counts:
            table = self._asked if said.kind == REQUEST else self.acks
            for id_ in ids:
                table.put(id_, None)
            if said.kind == REQUEST and not is_room(said.to):
                self._note_asking(said)
        if seen.counts:
            self._count += 1
            self._last.put(said[:2], self._count)
            self._append(self._rooms if is_room(said.to) else self._heard, said)

    def _note_asking(self, said: Said) -> None:
        ends = _there(said)
        last, turns = self._asking.get(ends, FIRST)
        if last != said.sender:
            self._asking.put(ends, (said.sender, turns + 1))

    def _note_answers(self, said: Said, reply_to: str, ids: Sequence[str]) -> None:
        sender, parent = said.sender, self._answers.get(reply_to)
        if parent is None:
            answer = Answer((sender,), reply_to)
        else:
            path, root = parent
            answer = Answer((*path, sender)[-LOOKED_AT:], root)
        for id_ in ids:
            self._answers.put(id_, answer)
        self._asking.pop(_there(said), None)
        self._answered.put((reply_to, sender), None)

    def _append(self, table: Recent[Node, tuple[Node, ...]], said: Said) -> None:
        """The sender is the latest there, and there once."""
        known = table.get(said.to, ())
        if known and known[-1] == said.sender:
            return
        others = [node for node in known if node != said.sender]
        table.put(said.to, (*others, said.sender)[-LOOKED_AT:])

    # --- rounds ------------------------------------------------------------------

    def _along(self, path: tuple[Node, ...], said: Said) -> Members:
        """Who is in a chain of answers from whom it comes back to on."""
        if is_room(said.to):
            return _there(said) if said.sender in path else NOBODY
        if said.to not in path:
            return NOBODY
        at = max(at for at, node in enumerate(path) if node == said.to)
        return frozenset((*path[at:], said.sender))

    def _fresh(self, said: Said, hears: Hears) -> Members:
        if is_room(said.to):
            return self._in_room(said, hears)
        sender, to, last = said.sender, said.to, self._last
        mine = last.get((sender, to))
        if mine is None or sender == to:
            return NOBODY
        if last.get((to, sender), 0) > mine:
            return frozenset((sender, to))
        if sender not in self._heard:  # as of all who only send
            return NOBODY
        for third in self._since(self._heard, sender, sender, mine):
            if third != to and last.get((to, third), 0) > mine:
                return frozenset((sender, to, third))
        return NOBODY

    def _in_room(self, said: Said, hears: Hears) -> Members:
        sender, room = said.sender, said.to
        mine = self._last.get((sender, room))
        if mine is None:
            return NOBODY
        if any(map(hears, self._since(self._rooms, room, sender, mine))):
            return _there(said) if hears(sender) else NOBODY
        for third in self._since(self._heard, sender, sender, mine):
            if hears(third):
                return frozenset((sender, third))
        return NOBODY

    def _since(
        self,
        table: Recent[Node, tuple[Node, ...]],
        to: Node,
        sender: Node,
        when: int,
    ) -> list[Node]:
        """Who but `sender` has written to an agent or a room since then, the latest
        first."""
        found = []
        for node in reversed(table.get(to, ())):
            if self._last.get((node, to), 0) <= when:
                break
            if node != sender:
                found.append(node)
        return found


def _there(said: Said) -> Members:
    return frozenset((said.sender, said.to))


def is_room(node: Node) -> bool:
    return type(node) is str and node[0] in "#*"
