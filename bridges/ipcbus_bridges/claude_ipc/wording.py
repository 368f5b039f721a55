"""What old programs are told, in the words that they look for. PURE."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import ipcbus

Answer = dict[str, Any]

NO_SESSION: Final = "Invalid or missing session token"
BAD_AUTH: Final = "Invalid auth token"
RATE: Final = "Rate limit exceeded. Please wait before sending more requests."
REGISTER_RATE: Final = (
    "Rate limit exceeded. Too many registration attempts. Please wait."
)
TOO_MANY: Final = "Too many connections. Please try again."
TOO_LATE: Final = "Bad request: the JSON object is not whole, and nothing more came"
NOT_WHOLE: Final = "Bad request: the JSON object is not whole"
SENT: Final = "Message sent"
NO_ANSWER: Final = "The network does not answer; please try again"
BROKEN: Final = "The request could not be carried out"


def ok(message: str | None = None, **fields: Any) -> Answer:
    said = {} if message is None else {"message": message}
    return {"status": "ok", **fields, **said}


def error(message: str) -> Answer:
    return {"status": "error", "message": message}


def packed(answer: Answer) -> bytes:
    return json.dumps(answer).encode()


def registered(name: str, queued: int) -> str:
    return f"Registered {name}" + (f" with {queued} queued messages" if queued else "")


def taken(name: str, until: str, network: str) -> str:
    return (
        f"Name {name} is taken: its session is valid until {until}. Whoever has that "
        "session_token may register again with it; if it is lost: "
        f"ipcbus bridge claude-ipc {network} --free {name}"
    )


def not_ours(name: str, network: str) -> str:
    return (
        f"Name {name} is taken: an agent of {network} has it that did not come from "
        "claude-ipc"
    )


def sent(given: str, receipt: ipcbus.Receipt, shown: str) -> str:
    """`shown` is who got it, as old programs know names."""
    if receipt.state == "future":
        return f"Message queued for {given} (not yet registered)"
    if receipt.state == "forwarded":
        return f"Message forwarded from {given} to {shown}"
    return SENT


def broadcast(count: int) -> str:
    return f"Broadcast to {count} instances"


def renamed(old: str, new: str) -> str:
    return f"Renamed {old} to {new}"


def renamed_notice(old: str, new: str) -> str:
    return f"📝 {old} renamed to {new}"


def unknown(action: object) -> str:
    return f"Unknown action: {str(action)[:64]}"


def not_sent(given: str, problem: ipcbus.IpcbusError) -> str:
    """Why a message was not taken."""
    if isinstance(problem, ipcbus.errors.BoundExceeded):
        if problem.bound in ("mailbox_messages", "future_messages"):
            return f"Message queue full for {given} ({problem.limit} message limit)"
        if problem.bound == "rate":
            return f"Rate limit exceeded: {problem}"
    if isinstance(problem, ipcbus.errors.InvalidAddress):
        return "Invalid recipient ID format"
    return failed(problem)


def not_renamed(new: str, problem: ipcbus.IpcbusError) -> str:
    if isinstance(problem, ipcbus.errors.NameTaken):
        return f"Instance {new} already exists"
    if isinstance(problem, ipcbus.errors.BoundExceeded) and problem.bound == "renames":
        minutes = re.search(r"(\d+) min", str(problem.limit))
        wait = minutes[1] if minutes else "60"
        return f"Rate limit: can rename again in {wait} minutes"
    return failed(problem)


def failed(problem: ipcbus.IpcbusError) -> str:
    """What the network said, or that it said nothing."""
    if isinstance(problem, (ipcbus.errors.NoBroker, ipcbus.errors.TimedOut)):
        return f"{NO_ANSWER} ({problem})"
    return str(problem)
