"""Bugs of who may still speak: brokers that were taken over, bridges that lead no more,
ids that were said before, networks that had a message already."""

from __future__ import annotations

from typing import Any

from ipcbus.broker.border import Border
from ipcbus.broker.crossing import Crossing
from ipcbus.broker.delivery import Delivery
from ipcbus.broker.links import Links
from ipcbus.broker.returns import Returns
from ipcbus.broker.sending import Sending
from ipcbus.protocol.messages import DUPLICATE
from ipcbus.store.memory import MemoryStore
from ipcbus.store.memory.crossings import MemoryCrossings
from ipcbus_bridges.rules import LinkRules
from tests.sim.planting import Bugs, no, nothing

BUGS = Bugs()

# --- brokers ----------------------------------------------------------------------

BUGS.plant(
    "epoch-fence-skipped",
    "a broker that was taken over can write nothing",
    (MemoryStore, "_check_fence", nothing),
)


def _no_ids(real: Any, store: MemoryStore) -> Any:
    opened = real(store)
    ids = store._state.ids
    ids.pop_all(ids.in_order())
    return opened


BUGS.plant(
    "ids-lost-at-takeover",
    "an id is known also by the next broker",
    (MemoryStore, "open", _no_ids),
)

# --- bridges ----------------------------------------------------------------------


def _as_leader(real: Any, returns: Any, turn: Any, session: Any, said: Any) -> None:
    link = returns._links.of(session)
    leader, link.leader = link.leader, session
    real(returns, turn, session, said)
    link.leader = leader


BUGS.plant(
    "settled-without-lead",
    "only who leads a link says what became of its mail",
    (Returns, "take", _as_leader),
)


def _any_epoch(real: Any, crossing: Any, turn: Any, session: Any, xfer: Any) -> None:
    link = crossing._links.of(session)
    seen = link.row.seen_epoch
    link.row = link.row._replace(seen_epoch=min(seen, xfer.epoch))
    real(crossing, turn, session, xfer)
    link.row = link.row._replace(seen_epoch=max(seen, xfer.epoch))


BUGS.plant(
    "handed-over-without-lead",
    "nobody hands over under an epoch that is over",
    (Crossing, "transfer", _any_epoch),
)


def _led_by_several(real: Any, links: Any, turn: Any, session: Any, said: Any) -> bool:
    links.of(session).leader = None
    return bool(real(links, turn, session, said))


BUGS.plant(
    "lead-taken-away",
    "a link has one leader until that is gone",
    (Links, "lead", _led_by_several),
)


def _kept(real: Any, *args: Any) -> list[int]:
    return []


BUGS.plant(
    "held-by-former-leader",
    "what a former leader held goes out before what came later",
    (Delivery, "release", _kept),
)
BUGS.plant(
    "not-woken-at-lead",
    "what a former leader put off goes out before what came later",
    (MemoryCrossings, "wake", nothing),
)

# --- ids --------------------------------------------------------------------------


def _always_same(real: Any, crossing: Any, id_: str, move: Any) -> Any:
    return (DUPLICATE, {}) if real(crossing, id_, move) else None


BUGS.plant(
    "other-content-taken-at-hop",
    "the same id with other content is refused at a hop",
    (Crossing, "_known", _always_same),
)


def _known_anyway(real: Any, sending: Any, agent: Any, draft: Any, body: bytes) -> Any:
    known = sending._store.mail.find(draft.id)
    if known is None:
        return None
    state, facts = sending.routing.outcome(draft, known)
    return state, facts | {"again": True}


BUGS.plant(
    "other-content-taken",
    "the same id with other content is refused",
    (Sending, "_known", _known_anyway),
)

# --- hops -------------------------------------------------------------------------


BUGS.plant(
    "own-hop-not-checked",
    "a network takes nothing that came through it before",
    (Border, "came_round", no),
)


def _no_way_back(real: Any, *args: Any) -> Any:
    return real(*args)._replace(back=False)


BUGS.plant(
    "own-hop-not-checked-at-source",
    "a link hands nothing over to the network it comes from",
    (LinkRules, "_paired", _no_way_back),
)


def _hops_not_looked_at(
    real: Any, crossing: Any, link: Any, onward: Any, said: Any
) -> Any:
    return real(crossing, link, onward, said._replace(hops=[]))


BUGS.plant(
    "topic-goes-round",
    "a topic's message goes on to no network that had it",
    (Crossing, "_goes_on", _hops_not_looked_at),
)
