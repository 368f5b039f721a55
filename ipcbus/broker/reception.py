"""Calls are answered here: checked against the table, and by who makes them."""

from __future__ import annotations

from typing import Final

from ipcbus.broker.calls import PEOPLE, Desk
from ipcbus.broker.calls_links import LINKS
from ipcbus.broker.calls_mail import MAIL
from ipcbus.broker.calls_past import PAST, WithBody
from ipcbus.broker.calls_watch import WATCH
from ipcbus.broker.sessions import Session
from ipcbus.broker.turn import Turn
from ipcbus.errors import CannotServe, IpcbusError, NotPermitted, StoreFull
from ipcbus.protocol import calls
from ipcbus.protocol.calls import METHODS
from ipcbus.protocol.messages import Answer, Call, RefusedCall

HANDLERS: Final = PEOPLE | MAIL | PAST | LINKS | WATCH

WITH_BODY: Final = frozenset({"blob_write", "lead", "report", "publish", "remember"})
"""Calls that carry bytes."""

LATER: Final = frozenset({"backup", "news"})
"""Calls that may be answered in a later turn, and so are told their `ref`."""


def answer(desk: Desk, turn: Turn, session: Session, call: Call) -> None:
    """Answer a call, or refuse it. Raises what makes the turn void."""
    try:
        calls.check(call.name, call.args)
        if session.role not in METHODS[call.name].role:
            reason = f"{call.name} is not for an {session.role.value}"
            raise NotPermitted(reason=reason)
        value = _value(desk, turn, session, call)
    except (StoreFull, CannotServe):
        raise  # out of the store: this turn is void
    except IpcbusError as error:
        turn.say(session.peer, RefusedCall(call.ref, *error.to_wire()))
        return
    if isinstance(value, WithBody):
        turn.say(session.peer, Answer(call.ref, *value))
    elif value is not None:
        turn.say(session.peer, Answer(call.ref, value, b""))


def _value(desk: Desk, turn: Turn, session: Session, call: Call) -> object:
    handler = HANDLERS[call.name]
    if call.name in WITH_BODY:
        return handler(desk, turn, session, *call.args, body=call.body)
    if call.name in LATER:
        return handler(desk, turn, session, *call.args, ref=call.ref)
    return handler(desk, turn, session, *call.args)
