"""Answers to the calls of `protocol.calls` that are about people and keys.

A handler takes the desk, the turn, the session and the arguments of its call, and
returns the value; what it raises is the refusal. It checks all before it changes
anything: a refused call has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any, NamedTuple

from ipcbus.broker.blobs import Attachments
from ipcbus.broker.delivery import Delivery
from ipcbus.broker.directory import Directory
from ipcbus.broker.ends import Ends
from ipcbus.broker.events import Admit, Expel
from ipcbus.broker.guarding import Guarding
from ipcbus.broker.links import MARK, Links
from ipcbus.broker.mailbox import Mailboxes
from ipcbus.broker.news import News
from ipcbus.broker.notices import Notices
from ipcbus.broker.pauses import Pauses
from ipcbus.broker.sending import Sending
from ipcbus.broker.sessions import Session, Sessions
from ipcbus.broker.settings import Settings
from ipcbus.broker.turn import Turn
from ipcbus.errors import InvalidMessage, NameTaken, NotPermitted, UnknownRecipient
from ipcbus.protocol.address import check_pattern
from ipcbus.protocol.calls import Role
from ipcbus.protocol.fields import is_key
from ipcbus.protocol.limits import MAX_BODY, MAX_HEAD, MAX_TTL_MS
from ipcbus.protocol.pieces import packed_size, unpack_header
from ipcbus.store.base import Store
from ipcbus.store.records import Agent, AgentKey


class Desk(NamedTuple):
    """What handlers work with: the parts of the broker."""

    network: str
    epoch: int
    settings: Settings
    store: Store
    directory: Directory
    sessions: Sessions
    boxes: Mailboxes
    delivery: Delivery
    ends: Ends
    notices: Notices
    blobs: Attachments
    counters: dict[str, int]
    last_seen: dict[int, int]
    end_session: Callable[[Turn, Session], None]
    links: Links
    pauses: Pauses
    news: News
    guarding: Guarding
    sending: Sending


Handler = Callable[..., Any]


def agents(desk: Desk, turn: Turn, session: Session, offset: int) -> Any:
    rows = (
        [
            agent.name,
            bool(agent.registered),
            len(desk.sessions.of_agent(agent.number)),
            desk.last_seen.get(agent.number),
            desk.directory.joined(agent.number),
        ]
        for agent in desk.directory.agents()
        if not agent.name.startswith(MARK)
    )
    remote = _remote(desk, turn, session)
    return listing(islice(chain(rows, remote), offset, None), offset)


def _remote(desk: Desk, turn: Turn, session: Session) -> Iterable[list[Any]]:
    """Agents of other networks that bridges expose to this agent."""
    if not session.agent:
        return
    me = desk.directory.name(session.agent)
    for link in desk.links:
        for name in desk.links.remote(link, me, turn.now.mono):
            yield [f"{name}@{link.peer}", True, 0, None, []]


def whoami(desk: Desk, turn: Turn, session: Session) -> Any:
    if not session.agent:
        return [None, session.role.value, desk.network, 0]
    agent = desk.directory.agent(session.agent)
    waiting = desk.boxes[agent.number].waiting
    return [agent.name, session.role.value, desk.network, waiting]


def rename(desk: Desk, turn: Turn, session: Session, old: str | None, new: str) -> Any:
    agent = _subject(desk, session, old)
    former = agent.name
    if former.startswith(MARK):
        raise NotPermitted(reason="a link is called as the network that it leads to")
    if new == former:  # as of who asks again because the answer was lost
        return [former, new, turn.now.wall]
    until = desk.directory.rename(agent, new, turn.now.wall)
    others = [n for n in desk.directory.members() if n != agent.number]
    text = f"{former} is now called {new}; mail to {former} is forwarded for a while."
    data = {"event": "renamed", "old": former, "new": new, "forwards_until": until}
    desk.notices.tell(turn, others, text, data)
    return [former, new, until]


def join(desk: Desk, turn: Turn, session: Session, pattern: str) -> Any:
    desk.directory.join(session.agent, check_pattern(pattern.removeprefix("#")))
    return [desk.directory.joined(session.agent)]


def leave(desk: Desk, turn: Turn, session: Session, pattern: str) -> Any:
    desk.directory.leave(session.agent, check_pattern(pattern.removeprefix("#")))
    return [desk.directory.joined(session.agent)]


def topics(desk: Desk, turn: Turn, session: Session, offset: int) -> Any:
    found = desk.directory.topics()
    rows = (
        [pattern, [desk.directory.name(number) for number in there]]
        for pattern, there in islice(found.items(), offset, None)
    )
    return listing(rows, offset)


def register(desk: Desk, turn: Turn, session: Session, name: str, key: str) -> Any:
    agent, created = _register(desk, turn, name, key)
    return [agent.name, created]


def invite(
    desk: Desk, turn: Turn, session: Session, name: str, key: str, ttl_ms: int
) -> Any:
    """The key is a one-time key that the operator made; it may only redeem itself."""
    _check_key(desk, key)
    if not 0 < ttl_ms <= MAX_TTL_MS:
        raise InvalidMessage(field="invite.ttl_ms", reason="must be up to a year")
    agent = _invited(desk, turn, name)
    wall = turn.now.wall
    expires = wall + ttl_ms
    desk.directory.put_key(
        AgentKey(key, agent.number, Role.INVITEE.value, wall, expires, 0)
    )
    turn.do(Admit(key))
    return [agent.name, expires]


def _invited(desk: Desk, turn: Turn, name: str) -> Agent:
    """The agent of an invitation; `@network` invites a bridge to that network."""
    if name.startswith(MARK):
        link = desk.links.make(name.removeprefix(MARK), turn.now.wall)
        return desk.directory.agent(link.number)
    agent = desk.directory.expect(name, turn.now.wall)
    if desk.directory.live_keys(agent.number):
        raise NameTaken(name=agent.name, reason="it belongs to a key already")
    return agent


def redeem(desk: Desk, turn: Turn, session: Session, key: str) -> Any:
    """The invitee takes the name with a key of its own; the invitation is used up.

    Its session is left to hear so; the transport ends it a moment later.
    """
    if desk.directory.key(session.key) is None:
        raise NotPermitted(reason="this invitation was used")
    name = desk.directory.name(session.agent)
    agent, _ = _register(desk, turn, name, key)
    desk.directory.delete_key(session.key)
    _expel(desk, turn, session.key, "invitation was used", stays=session)
    return [agent.name]


def revoke(desk: Desk, turn: Turn, session: Session, name: str) -> Any:
    """All keys and invitations of an agent; the mailbox stays."""
    agent = desk.directory.named(name)
    if agent is None:
        raise nobody(desk, name)
    keys = [
        key
        for key in desk.directory.all_keys()
        if key.agent == agent.number and not key.revoked
    ]
    ended = 0
    for key in keys:
        desk.directory.put_key(key._replace(revoked=turn.now.wall))
        ended += _expel(desk, turn, key.key, "key was revoked")
    link = desk.links.get(agent.number)
    if link is not None:
        link.open = False
    return [len(keys), ended]


def keys(desk: Desk, turn: Turn, session: Session, offset: int) -> Any:
    rows = (
        [
            desk.directory.name(key.agent) if key.agent else "",
            key.role,
            key.key,
            key.created_at,
            "revoked" if key.revoked else "live",
            len(desk.sessions.of_key(key.key)),
        ]
        for key in islice(desk.directory.all_keys(), offset, None)
    )
    return listing(rows, offset)


def limit(
    desk: Desk, turn: Turn, session: Session, name: str, rate: int, max_body: int
) -> Any:
    agent = desk.directory.named(name)
    if agent is None:
        raise nobody(desk, name)
    if max_body > MAX_BODY:
        raise InvalidMessage(field="limit.max_body", reason=f"is at most {MAX_BODY}")
    agent = desk.directory.update(agent._replace(rate=rate, max_body=max_body))
    return [agent.rate, agent.max_body]


def sweep_invitations(desk: Desk, turn: Turn) -> None:
    """Invitations whose time is over are forgotten."""
    for key in desk.directory.drop_expired(turn.now.wall):
        _expel(desk, turn, key.key, "invitation has expired")
        turn.touched.add(key.agent)


def free_names(desk: Desk, turn: Turn) -> None:
    """Names that came to be by mail or an invitation count as agents until nothing of
    it is left."""
    idle = [
        number
        for number in desk.directory.expected(turn.touched)
        if not desk.boxes[number].messages and number not in desk.pauses.numbers
    ]
    for number in desk.directory.free(idle):
        desk.boxes.pop(number, None)


def _expel(
    desk: Desk, turn: Turn, key: str, what: str, *, stays: Session | None = None
) -> int:
    """The key may not connect any more, and its sessions are over: how many were.
    That of `stays` ends with its connection."""
    live = [one for one in desk.sessions.of_key(key) if one is not stays]
    for session in live:
        turn.close(session.peer, NotPermitted(reason=f"your {what}"))
        desk.end_session(turn, session)
    turn.do(Expel(key, f"its {what}"))
    return len(live)


def listing(rows: Iterable[list[Any]], offset: int) -> list[Any]:
    """As many rows as fit into a frame, and the offset of the rest; 0 for none."""
    left = MAX_HEAD
    fitted: list[list[Any]] = []
    for row in rows:
        left -= packed_size(row)
        if left < 0 and fitted:
            return [fitted, offset + len(fitted)]
        fitted.append(row)
    return [fitted, 0]


def _register(desk: Desk, turn: Turn, name: str, key: str) -> tuple[Agent, bool]:
    if not is_key(key):
        raise InvalidMessage(field="key", reason="must be a public key in hex")
    if name.startswith(MARK):
        return bridge_key(desk, turn, name.removeprefix(MARK), key)
    known = desk.directory.named(name)
    agent, created = desk.directory.register(name, key, turn.now.wall)
    if created:
        turn.do(Admit(key))
    if known is not None and not known.registered:
        _adopt(desk, agent)
    return agent, created


def bridge_key(
    desk: Desk, turn: Turn, peer: str, key: str, *, outward: bool = True
) -> tuple[Agent, bool]:
    """Let a bridge with this key serve the link to `peer`; a link may have several.

    `outward`: it will also take mail there.
    """
    known = desk.directory.key(key)
    link = desk.links.make(peer, turn.now.wall)
    if outward:
        desk.links.open_way_out(link)
    agent = desk.directory.agent(link.number)
    if known is not None:
        if known.agent != link.number or known.role != Role.BRIDGE.value:
            raise NotPermitted(reason="this key is somebody else's already")
        if known.revoked:
            raise NotPermitted(reason="this key was revoked; make a new one")
        return agent, False
    wall = turn.now.wall
    desk.directory.put_key(AgentKey(key, link.number, Role.BRIDGE.value, wall, 0, 0))
    link.open = True
    turn.do(Admit(key))
    return agent, True


def _adopt(desk: Desk, agent: Agent) -> None:
    """Mail that waited for the name keeps only the ttl that its sender gave it."""
    box = desk.boxes[agent.number]
    after = (-1, 0)
    while waiting := desk.store.mail.page(box.number, after, 200, 1 << 24):
        last = waiting[-1].entry
        after = (last.rank, last.seq)
        desk.store.mail.set_expires(
            [(unpack_header(w.header).expires_at or 0, *w.entry[:3]) for w in waiting]
        )
    box.forget()


def _subject(desk: Desk, session: Session, name: str | None) -> Agent:
    """The agent a call is about: oneself, or for an operator any."""
    if name is None:
        if not session.agent:
            raise InvalidMessage(field="old", reason="say which agent")
        return desk.directory.agent(session.agent)
    found = desk.directory.named(name)
    if found is None:
        raise nobody(desk, name)
    if session.role is not Role.OPERATOR and found.number != session.agent:
        raise NotPermitted(reason="only an operator may do that for another agent")
    return found


def nobody(desk: Desk, name: str) -> UnknownRecipient:
    near = desk.directory.near(name)
    hint = f"; near names: {', '.join(near)}" if near else ""
    return UnknownRecipient(name=name, network=desk.network, near=near, hint=hint)


def _check_key(desk: Desk, key: str) -> None:
    if not is_key(key):
        raise InvalidMessage(field="key", reason="must be a public key in hex")
    if desk.directory.key(key) is not None:
        raise NotPermitted(reason="this key is known already")


PEOPLE: dict[str, Handler] = {
    "agents": agents,
    "whoami": whoami,
    "rename": rename,
    "join": join,
    "leave": leave,
    "topics": topics,
    "register": register,
    "invite": invite,
    "redeem": redeem,
    "revoke": revoke,
    "keys": keys,
    "limit": limit,
}
