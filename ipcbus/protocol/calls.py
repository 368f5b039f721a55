"""The calls: questions and orders outside the flow of messages.

A CALL names one of these and carries its arguments as an array, in this order. The
broker checks them against this table before anything else sees them, and refuses a
call whose `role` the session does not have. PROTOCOL.md lists the same table; a test
holds both together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from ipcbus.errors import InvalidMessage
from ipcbus.protocol.limits import MAX_META, MAX_UINT


class Role(Enum):
    """Who a session is. OPERATOR may do all that AGENT may but own no mailbox."""

    AGENT = "agent"
    OPERATOR = "operator"
    INVITEE = "invitee"
    BRIDGE = "bridge"


TEXT: Final = str
UINT: Final = int


class Parameter(NamedTuple):
    """One argument: a short text or an unsigned integer, maybe None."""

    name: str
    type: type
    optional: bool = False


class Method(NamedTuple):
    """A call: who may use it, what it takes, what it answers (in words)."""

    role: frozenset[Role]
    parameters: tuple[Parameter, ...]
    answer: str


_ANYONE = frozenset({Role.AGENT, Role.OPERATOR})
_AGENT = frozenset({Role.AGENT})
_OPERATOR = frozenset({Role.OPERATOR})
_INVITEE = frozenset({Role.INVITEE})
_BRIDGE = frozenset({Role.BRIDGE})
_BLOBS = frozenset({Role.AGENT, Role.BRIDGE})


def _m(role: frozenset[Role], answer: str, *parameters: Parameter) -> Method:
    return Method(role, parameters, answer)


def _t(name: str, *, optional: bool = False) -> Parameter:
    return Parameter(name, TEXT, optional)


def _n(name: str, *, optional: bool = False) -> Parameter:
    return Parameter(name, UINT, optional)


ROWS = "[rows, sizes, more]; the body frame holds the bodies, each cut to body_limit"
PAUSES = "[whole network, [names]]: what is paused now"

METHODS: Final[Mapping[str, Method]] = {
    # who is there
    "agents": _m(
        _ANYONE,
        "[[[name, registered, sessions, last_seen_ms or None, topics]], next]",
        _n("offset"),
    ),
    "whoami": _m(_ANYONE, "[agent or None, role, network, waiting]"),
    "news": _m(
        _AGENT, "[news, newest_seq, waiting, paused]", _n("after"), _n("wait_ms")
    ),
    "rename": _m(
        _ANYONE,
        "[old name, new name, forwards_until_ms]",
        _t("old", optional=True),
        _t("new"),
    ),
    "join": _m(_AGENT, "[patterns joined]", _t("pattern")),
    "leave": _m(_AGENT, "[patterns joined]", _t("pattern")),
    "topics": _m(_ANYONE, "[[[pattern, [agents]]], next]", _n("offset")),
    # keys
    "register": _m(_OPERATOR, "[name, created]", _t("name"), _t("key")),
    "invite": _m(
        _OPERATOR,
        "[name, expires_at_ms]",
        _t("name"),
        _t("key"),
        _n("ttl_ms"),
    ),
    "redeem": _m(_INVITEE, "[name]", _t("key")),
    "revoke": _m(_OPERATOR, "[keys removed, sessions ended]", _t("name")),
    "keys": _m(
        _OPERATOR,
        "[[[name, role, key, created_at_ms, state, sessions]], next]",
        _n("offset"),
    ),
    "limit": _m(
        _OPERATOR,
        "[rate, max_body]; 0 means: as configured",
        _t("name"),
        _n("rate"),
        _n("max_body"),
    ),
    # mail by id, for those whose session does not hold the lease
    "await": _m(_AGENT, "[found]; the reply is delivered to this session", _t("id")),
    "settle": _m(
        _AGENT,
        "[]",
        _t("action"),
        _t("id"),
        _n("ms"),
        _t("reason", optional=True),
    ),
    "show": _m(_ANYONE, ROWS, _t("id"), _n("offset"), _n("body_limit")),
    "peek": _m(_AGENT, ROWS, _n("limit"), _n("body_limit")),
    "history": _m(
        _ANYONE,
        ROWS,
        _n("limit"),
        _n("before_seq", optional=True),
        _t("with", optional=True),
        _t("thread", optional=True),
        _n("body_limit"),
    ),
    "search": _m(
        _ANYONE,
        ROWS,
        _t("query"),
        _n("limit"),
        _n("before_seq", optional=True),
        _n("body_limit"),
    ),
    # dead letters: an agent sees its own, an operator all of them
    "dead": _m(
        _ANYONE,
        "[[[name, code, reason, at_ms, attempt, seq, header]], more]",
        _n("limit"),
        _n("after_seq"),
    ),
    "replay": _m(_ANYONE, "[replayed]", _t("id", optional=True)),
    "drop": _m(_ANYONE, "[dropped]", _t("id", optional=True)),
    # attachments
    "blob_begin": _m(_BLOBS, "[bytes already there]", _t("sha256"), _n("size")),
    "blob_write": _m(_BLOBS, "[bytes now there]", _t("sha256"), _n("offset")),
    "blob_seal": _m(_BLOBS, "[]", _t("sha256")),
    "blob_read": _m(_BLOBS, "[size]; bytes in the body", _t("sha256"), _n("offset")),
    # bridges
    "meet": _m(_BRIDGE, "[keep_ms]", _t("network_id")),
    "lead": _m(_BRIDGE, "[leading, link_epoch, paused]; a map of terms in the body"),
    "report": _m(
        _BRIDGE, "[leading, paused, reloads]; a map of the link's state in the body"
    ),
    "present": _m(
        _BRIDGE,
        "[[[name, sessions]], next]; the agents that this link may write to",
        _n("offset"),
    ),
    "publish": _m(_BRIDGE, "[published]; an array of [name, from, except] in the body"),
    "link": _m(_OPERATOR, "[peer, created]", _t("peer"), _t("key"), _t("way")),
    "links": _m(_ANYONE, "[maps; see docs/bridges.md]"),
    "steer": _m(_OPERATOR, "[paused, reloads]", _t("peer"), _t("action")),
    "grant": _m(
        _OPERATOR,
        "[in, out]: the rules of the grant, each an array of texts",
        _t("peer"),
        _t("way"),
        _t("rules", optional=True),
    ),
    "gates": _m(
        _OPERATOR,
        "[[gate, passes, said]]",
        _t("peer"),
        _t("way"),
        _t("from"),
        _t("to"),
        _n("size"),
    ),
    "route": _m(_ANYONE, "[peer or None, state, reason]", _t("to")),
    "trace": _m(
        _ANYONE,
        "[[[at_ms, way, peer, from, to, rule, verdict, status, reason]], state]",
        _t("id"),
    ),
    "audit": _m(
        _OPERATOR,
        "[[[n, at_ms, way, peer, count, id, from, to, rule, verdict, status, reason]]]",
        _n("after"),
        _n("limit"),
    ),
    # the broker
    "status": _m(_ANYONE, "a map; see docs/operations.md"),
    "backup": _m(_OPERATOR, "[bytes]", _t("path")),
    "remember": _m(_OPERATOR, "[stored]", _t("id"), _t("from"), _t("to")),
    "pause": _m(_OPERATOR, PAUSES, _t("name", optional=True)),
    "resume": _m(_OPERATOR, PAUSES, _t("name", optional=True)),
    "shutdown": _m(_OPERATOR, "[]"),
}


def check(name: str, args: Sequence[Any]) -> None:
    """Raise `InvalidMessage` unless `args` are what call `name` takes."""
    method = METHODS.get(name)
    if method is None:
        raise InvalidMessage(field="call", reason=f"{name!r:.40} is unknown")
    if len(args) != len(method.parameters):
        raise InvalidMessage(
            field=name, reason=f"takes {len(method.parameters)} arguments"
        )
    for value, parameter in zip(args, method.parameters, strict=True):
        if value is None and parameter.optional:
            continue
        if type(value) is not parameter.type or not _bounded(value):
            wanted = "text" if parameter.type is str else "an unsigned integer"
            raise InvalidMessage(
                field=f"{name}.{parameter.name}", reason=f"must be {wanted}"
            )


def _bounded(value: Any) -> bool:
    return len(value) <= MAX_META if type(value) is str else 0 <= value <= MAX_UINT
