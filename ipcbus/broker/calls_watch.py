"""Answers to the calls of those who run a network, or wait for their mail.

Handlers are as in `broker.calls`; those of `reception.LATER` are told their `ref`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ipcbus.broker.calls import Desk, Handler, nobody
from ipcbus.broker.events import Backup, Stop
from ipcbus.broker.links import MARK
from ipcbus.broker.news import Waiter
from ipcbus.broker.pauses import NETWORK
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.errors import InvalidMessage, NotPermitted
from ipcbus.protocol.calls import Role
from ipcbus.protocol.limits import PAGE

MOST_WAIT_MS: Final = 3_600_000
"""How long `news` may wait; whoever waits longer asks again."""


def news(
    desk: Desk, turn: Turn, session: Session, after: int, wait_ms: int, *, ref: int
) -> None:
    if wait_ms > MOST_WAIT_MS:
        raise InvalidMessage(field="news.wait_ms", reason=f"is at most {MOST_WAIT_MS}")
    waiter = Waiter(session, ref, after, turn.now.mono + wait_ms / 1000)
    if not wait_ms or desk.news.look(session.agent, after)[0]:
        desk.news.answer(turn, waiter)
        return
    former = desk.news.wait(waiter)
    if former is not None:
        desk.news.answer(turn, former)


def pause(desk: Desk, turn: Turn, session: Session, name: str | None) -> Any:
    desk.pauses.put(_number(desk, name), paused=True)
    return paused(desk)


def resume(desk: Desk, turn: Turn, session: Session, name: str | None) -> Any:
    number = _number(desk, name)
    desk.pauses.put(number, paused=False)
    again = set(desk.boxes) if number == NETWORK else {number}
    turn.touched |= again
    turn.returned |= again
    return paused(desk)


def _number(desk: Desk, name: str | None) -> int:
    if name is None:
        return NETWORK
    if name.startswith(MARK):
        raise InvalidMessage(field="name", reason="a link is paused by its own call")
    found = desk.directory.named(name)
    if found is None:
        raise nobody(desk, name)
    return found.number


def paused(desk: Desk) -> list[Any]:
    numbers = sorted(desk.pauses.numbers - {NETWORK})
    names = [desk.directory.name(number) for number in numbers]
    return [NETWORK in desk.pauses.numbers, names]


def status(desk: Desk, turn: Turn, session: Session) -> Any:
    """An operator sees all mailboxes; an agent the totals and its own."""
    boxes = sorted(desk.boxes.values(), key=lambda box: -box.messages)
    if session.role is not Role.OPERATOR:
        boxes = [box for box in boxes if box.number == session.agent]
    mailboxes = {
        desk.directory.name(box.number): {
            "waiting": box.waiting,
            "leased": len(box.leases),
            "bytes": box.bytes,
        }
        for box in boxes[:PAGE]
        if box.number
    }
    return {
        "network": desk.network,
        "epoch": desk.epoch,
        "agents": len(desk.directory.members()),
        "sessions": len(desk.sessions),
        "mailboxes": mailboxes,
        "counters": dict(desk.counters),
        "paused": _paused(desk, session),
        "guards": desk.guarding.status(turn, session.agent),
        "store": desk.store.facts(),
    }


def _paused(desk: Desk, session: Session) -> dict[str, Any]:
    network, names = paused(desk)
    if session.agent:
        mine = desk.directory.name(session.agent)
        names = [name for name in names if name == mine]
    return {"network": network, "agents": names}


def backup(desk: Desk, turn: Turn, session: Session, path: str, *, ref: int) -> None:
    target = Path(path)
    if not target.is_absolute():
        raise InvalidMessage(field="backup.path", reason="must be an absolute path")
    turn.do(Backup(session.peer, ref, target))


def shutdown(desk: Desk, turn: Turn, session: Session) -> Any:
    if session.role is not Role.OPERATOR:
        raise NotPermitted(reason="only an operator may stop the broker")
    turn.do(Stop())
    return []


WATCH: dict[str, Handler] = {
    "news": news,
    "pause": pause,
    "resume": resume,
    "status": status,
    "backup": backup,
    "shutdown": shutdown,
}
