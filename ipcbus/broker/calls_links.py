"""Answers to the calls that are about links: those of bridges, of owners, of agents.

Handlers are as in `broker.calls`; those of `WITH_BODY` take what the body frame holds.
"""

from __future__ import annotations

from typing import Any, Final

from ipcbus.broker import grants
from ipcbus.broker.calls import Desk, Handler, bridge_key, listing
from ipcbus.broker.calls_past import concerns
from ipcbus.broker.ends import BOUNCE_KINDS
from ipcbus.broker.links import IN, MOST_PUBLISHED, OUT, Link
from ipcbus.broker.returns import LINK_ENDINGS
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.errors import InvalidMessage, NoSuchMessage, UnknownRecipient
from ipcbus.protocol.address import Kind, check_name, fold, is_ref, parse
from ipcbus.protocol.calls import Role
from ipcbus.protocol.limits import MAX_META, PAGE
from ipcbus.protocol.pieces import load, unpack_header
from ipcbus.store.records import Audit

LATE_PAGE: Final = 200
"""Entries that are looked at once a second for being late."""

WAYS_IN: Final = ("accepted", "duplicate", "deferred", "refused")


# --- of a bridge -------------------------------------------------------------------


def meet(desk: Desk, turn: Turn, session: Session, network_id: str) -> Any:
    return [desk.links.meet(desk.links.of(session), network_id)]


def lead(desk: Desk, turn: Turn, session: Session, *, body: bytes) -> Any:
    link = desk.links.of(session)
    former = link.leader
    leading = desk.links.lead(turn, session, _map(body))
    if leading and former is None:
        # Whoever led before has forgotten these, and what follows must not overtake.
        held = [(seq, lease.attempt) for seq, lease in link.box.leases.items()]
        desk.delivery.release(turn, link.box, held)
    row = link.row
    return [leading, row.epoch if leading else 0, bool(row.paused)]


def report(desk: Desk, turn: Turn, session: Session, *, body: bytes) -> Any:
    """What a bridge says of its link; of the way out only its leader is heard."""
    link = desk.links.of(session)
    said = _map(body)
    way = said.get("way")
    if way not in (IN, OUT) or len(body) > MAX_META:
        raise InvalidMessage(field="report", reason="tells no way, or too much")
    leading = link.leader is session
    if way == IN or link.leader in (None, session):
        link.reports[way] = (turn.now.wall, said)
    return [leading, bool(link.row.paused), link.row.reloads]


def present(desk: Desk, turn: Turn, session: Session, offset: int) -> Any:
    """Agents of here that some agent of the other network may write to."""
    link = desk.links.of(session)
    found = [
        [agent.name, len(desk.sessions.of_agent(agent.number))]
        for agent in desk.directory.agents()
        if agent.registered and _is_reached(link, f"{agent.name}@{desk.network}")
    ]
    return listing(found[offset:], offset)


def _is_reached(link: Link, to: str) -> bool:
    rules = [rule for rule in link.grants[IN] if rule.allows]
    return not rules or any(rule.to and rule.to.match(fold(to)) for rule in rules)


def publish(desk: Desk, turn: Turn, session: Session, *, body: bytes) -> Any:
    link = desk.links.of(session)
    rows = load(body)
    if type(rows) is not list or len(rows) > MOST_PUBLISHED:
        raise InvalidMessage(field="publish", reason="is no list, or too long")
    published = []
    for row in rows:
        name, seen_by, hidden_from = _published(row)
        lines = [f"allow {pattern} -> {name}" for pattern in seen_by]
        lines += [f"deny {pattern} -> {name}" for pattern in hidden_from]
        rules = grants.parse_all(lines, desk.network, link.peer)
        published.append((check_name(name), rules))
    link.published = published
    link.published_at = turn.now.mono
    return [len(published)]


def _published(row: Any) -> tuple[str, list[str], list[str]]:
    right = (
        type(row) is list
        and len(row) == 3
        and type(row[0]) is str
        and all(
            type(items) is list and all(type(item) is str for item in items)
            for items in row[1:]
        )
    )
    if not right:
        raise InvalidMessage(field="publish", reason="has rows [name, from, except]")
    return row[0], row[1], row[2]


# --- of the owner --------------------------------------------------------------------


def link(
    desk: Desk, turn: Turn, session: Session, peer: str, key: str, way: str
) -> Any:
    agent, created = bridge_key(desk, turn, peer, key, outward=way == OUT)
    return [agent.name.removeprefix("@"), created]


def links(desk: Desk, turn: Turn, session: Session) -> Any:
    return [_described(desk, link, turn.now.wall) for link in desk.links]


def _described(desk: Desk, link: Link, wall: int) -> dict[str, Any]:
    box, count = link.box, desk.counters.get
    held = desk.store.crossings.delayed(link.number)
    names = ("offered", *LINK_ENDINGS)
    counted = {name: count(f"{link.peer}:{name}", 0) for name in names}
    came = {name: count(f"{link.peer}:in_{name}", 0) for name in WAYS_IN}
    return {
        "peer": link.peer,
        "peer_id": link.row.peer_id,
        "open": link.open,
        "paused": bool(link.row.paused),
        "led": link.leader is not None,
        "bridges": len(desk.sessions.of_agent(link.number)),
        "epoch": link.row.epoch,
        "queued": box.messages - len(box.leases) - held,
        "in_flight": len(box.leases),
        "held": held,
        "bytes": box.bytes,
        "parked": len(desk.store.mail.dead(link.number, 0, PAGE)),
        "counters": counted,
        "came": came,
        "terms": link.terms._asdict(),
        "grants": {w: [r.text for r in rules] for w, rules in link.grants.items()},
        **{way: _reported(link, way, wall) for way in (OUT, IN)},
    }


def _reported(link: Link, way: str, wall: int) -> dict[str, Any] | None:
    """The last report, with its age; None if there is none of this broker's time."""
    if way not in link.reports:
        return None
    at, said = link.reports[way]
    return {**said, "age_ms": wall - at}


def steer(desk: Desk, turn: Turn, session: Session, peer: str, action: str) -> Any:
    link = _link(desk, peer)
    match action:
        case "pause":
            desk.links.put(link, paused=1)
            if link.leader is not None:
                link.leader.credit = 0
                link.leader = None
        case "resume":
            desk.links.put(link, paused=0)
        case "reload":
            desk.links.put(link, reloads=link.row.reloads + 1)
        case "trust":
            desk.links.trust(link)
        case _:
            reason = "is pause, resume, reload or trust"
            raise InvalidMessage(field="steer.action", reason=reason)
    return [bool(link.row.paused), link.row.reloads]


def grant(
    desk: Desk, turn: Turn, session: Session, peer: str, way: str, rules: str | None
) -> Any:
    """Set the rules of one way, one a line; None only tells them."""
    link = _link(desk, peer)
    if rules is not None:
        lines = [line for line in rules.splitlines() if line.strip()]
        desk.links.set_grant(link, way, lines)
    return [[rule.text for rule in link.grants[way]] for way in (IN, OUT)]


def gates(
    desk: Desk,
    turn: Turn,
    session: Session,
    peer: str,
    way: str,
    sender: str,
    to: str,
    size: int,
) -> Any:
    """What this broker would say of a message, gate by gate, by the functions that say
    it of real ones. `sender` and `to` in full."""
    link = _link(desk, peer)
    rules = link.grants.get(way, [])
    passes, rule = grants.decide(rules, sender, to)
    by = (
        f"by `{rule.text}`"
        if rule
        else "no rule is for it"
        if rules
        else "not narrowed"
    )
    said = by if rules else "not narrowed"
    found: list[list[Any]] = [[f"grant {way} of {desk.network}", passes, said]]
    if way == OUT:
        box = link.box
        room = box.messages < link.terms.messages and (
            box.bytes + size <= link.terms.bytes
        )
        said = f"{box.messages} of {link.terms.messages} messages wait"
        return [[*found, [f"queue to {link.peer}", room, said]]]
    most = desk.settings.max_body
    found.append(["size", size <= most, f"{size} of {most} bytes"])
    return [[*found, *_recipient(desk, turn, to)]]


def _recipient(desk: Desk, turn: Turn, to: str) -> list[list[Any]]:
    address = parse(to)
    if address.kind is Kind.TOPIC:
        count = len(desk.directory.readers(address.name))
        return [["readers", count > 0, f"{count} read {to} in {desk.network}"]]
    if address.network and fold(address.network) != fold(desk.network):
        onward = desk.links.towards(address.network)
        said = f"by the link to {onward.peer}" if onward else "no link leads there"
        return [["way on", onward is not None, said]]
    found = desk.directory.named(address.name)
    if found is None or not found.registered:
        found = desk.directory.forwarded(address.name, turn.now.wall)
    if found is None:
        said = f"nobody is called {address.name} in {desk.network}"
        return [["recipient", False, said]]
    box = desk.boxes[found.number]
    most = desk.settings.mailbox_messages
    said = f"{box.messages} of {most} messages wait for {found.name}"
    return [["recipient", True, found.name], ["mailbox", box.messages < most, said]]


def audit(desk: Desk, turn: Turn, session: Session, after: int, limit: int) -> Any:
    rows = desk.store.crossings.audit(after, max(1, min(limit, PAGE)))
    return [[[row.n, *_audited(desk, row)] for row in rows]]


def _audited(desk: Desk, row: Audit) -> list[Any]:
    known = desk.links.get(row.link)
    peer = known.peer if known else ""
    count = row.last - row.first + 1 if row.first else 1
    fields = (row.id, row.sender, row.to, row.rule, row.verdict, row.status, row.reason)
    return [row.at, row.way, peer, count, *fields]


# --- of anybody ----------------------------------------------------------------------


def route(desk: Desk, turn: Turn, session: Session, to: str) -> Any:
    """By which link mail to an address leaves. A network that nobody may know of and
    one that is not there look the same."""
    address = parse(to)
    if address.kind is not Kind.FOREIGN or fold(address.network or "") == fold(
        desk.network
    ):
        return [None, "local", f"{to} is an address of {desk.network} itself"]
    link = desk.links.towards(address.network or "")
    if link is None:
        raise UnknownRecipient(
            name=to,
            network=desk.network,
            near=[],
            hint=f": no bridge leads to {address.network}",
        )
    return [link.peer, *_state(link)]


def _state(link: Link) -> tuple[str, str]:
    if link.row.paused:
        return "paused", "by its owner"
    if link.leader is None:
        return "waiting", "no bridge is there; mail waits on disk"
    _, said = link.reports.get(OUT, (0, {}))
    return str(said.get("state", "connecting")), str(said.get("reason", ""))


def trace(desk: Desk, turn: Turn, session: Session, id_: str) -> Any:
    """What is known here of a message that crossed networks, or wanted to."""
    row = desk.store.mail.find(id_) if is_ref(id_) else None
    visible = row is not None and row.header and concerns(desk, session, row)
    if not visible and session.role is not Role.OPERATOR:
        raise NoSuchMessage(id=id_, where=f"in {desk.network}")
    found: list[list[Any]] = []
    state = None
    sender = to = ""
    if row is not None:
        state = desk.store.archive.state(row.seq, None)
        if row.header:
            header = unpack_header(row.header)
            sender, to = header.sender, header.to
        found.append([row.accepted_at, "", "", sender, to, "", "accepted", "", ""])
    for step in desk.store.crossings.traced(id_, row.seq if row else 0):
        at, way, peer, _, _, *told = _audited(desk, step)
        told = told if step.id else [sender, to, *told[2:]]
        found.append([at, way, peer, *told])
    if not found:
        raise NoSuchMessage(id=id_, where=f"in {desk.network}")
    return [found, state]


def tell_late(desk: Desk, turn: Turn) -> None:
    """Senders whose mail has waited for a bridge for long are told, once a stream."""
    for link in desk.links:
        if not link.box.messages:
            link.told.clear()
            continue
        until = turn.now.wall - link.terms.warn_ms
        late = desk.store.crossings.late(link.number, until, link.late_to, LATE_PAGE)
        for waiting in late:
            link.late_to = waiting.entry.seq
            header = unpack_header(waiting.header)
            stream = (header.sender, header.to, waiting.entry.rank)
            if header.hops or header.kind in BOUNCE_KINDS:
                continue
            if stream not in link.told:
                link.told.add(stream)
                state, reason = _state(link)
                desk.notices.late(turn, header, link.peer, reason or state)


def _map(body: bytes) -> dict[str, Any]:
    said = load(body)
    if type(said) is not dict:
        raise InvalidMessage(field="body", reason="must be a map")
    return said


def _link(desk: Desk, peer: str) -> Link:
    found = desk.links.named(peer)
    if found is None:
        hint = f": no bridge leads to {peer}"
        raise UnknownRecipient(
            name=f"@{peer}", network=desk.network, near=[], hint=hint
        )
    return found


LINKS: dict[str, Handler] = {
    "meet": meet,
    "lead": lead,
    "report": report,
    "present": present,
    "publish": publish,
    "link": link,
    "links": links,
    "steer": steer,
    "grant": grant,
    "gates": gates,
    "route": route,
    "trace": trace,
    "audit": audit,
}
