"""What `hook` does: an event of a CLI answered, or a session waited for.

An end with 2 orders a CLI to stop what it does, so nothing here ends with 2 but the
waiter that wakes its session. A hook that cannot do its work says so on stderr, where
those look who search for a reason, and is in nobody's way: it ends with 0.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import Final

from ipcbus.doors.cli.output import remark, write
from ipcbus.doors.notice import given as asked
from ipcbus.doors.notice.events import EVENTS, START, WAIT, WAITERS
from ipcbus.doors.notice.given import Given
from ipcbus.errors import IpcbusError, NoBroker, NoNetwork
from ipcbus.networks import Network, choose

WAKES: Final = 2
"""How a waiter of Claude Code ends to wake its session."""

DAY_S: Final = 86_400.0


def hook(
    tool: str,
    event: str,
    *,
    network: str | None = None,
    agent: str | None = None,
    as_json: bool = False,
    patience: float | None = None,
    timeout: float = DAY_S,
    session: str | None = None,
    parent: str | None = None,
) -> int:
    """Answer an event, or wait; the exit code.

    Raises `IpcbusError` for a tool or an event that there is not: a settings file is
    wrong, which a person must hear of.
    """
    if os.environ.get("IPCBUS_HOOKS") == "off":
        return 0  # what started this CLI looks after the mail itself
    _check(tool, event)
    given = Given(session) if session else _given()
    if given is None or given.agent is not None:
        return 0  # the mail is for the model, not for its helpers
    try:
        if not (networks := _networks(network)):
            return 0
        if not agent:
            remark("hook: who are you? Say --as NAME, or set IPCBUS_AGENT")
        elif event == WAIT:
            return _wait(tool, given, networks, agent, timeout, parent)
        else:
            _answer(tool, event, given, networks, agent, patience)
    except (NoBroker, NoNetwork):
        return 0
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the CLI must go on
        from ipcbus.doors.text import safe_line

        said = str(error) if isinstance(error, IpcbusError) else repr(error)
        remark(f"hook: {safe_line(said)}")
    return 0


def _check(tool: str, event: str) -> None:
    if tool not in EVENTS:
        raise IpcbusError(reason=f"there is no tool {tool!r}: {', '.join(EVENTS)}")
    events = [*EVENTS[tool], *([WAIT] if tool in WAITERS else [])]
    if event not in events:
        raise IpcbusError(reason=f"{tool} has no {event!r}: {', '.join(events)}")


def _given() -> Given | None:
    """What the CLI says. A person who types this says nothing that is meant."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    return asked.read(sys.stdin.fileno())


def _networks(names: str | None) -> list[Network]:
    """Those that are named, with commas between; or the one that `choose` finds. One
    that is not there yet holds back no mail of the others."""
    found: list[Network] = []
    for name in (names or "").split(","):
        with suppress(NoNetwork):
            found.append(choose(name or None))
    return found


def _answer(
    tool: str,
    event: str,
    given: Given,
    networks: list[Network],
    agent: str,
    patience: float | None,
) -> None:
    from ipcbus.doors.notice.hook import hook as answer

    answer(tool, event, given, networks, agent, write, patience)
    if tool == "codex" and EVENTS[tool][event] == START:
        from ipcbus.doors.notice.waking import begin

        begin(networks, agent, given.session)


# --- the waiter ------------------------------------------------------------------


def _wait(
    tool: str,
    given: Given,
    networks: list[Network],
    agent: str,
    timeout: float,
    parent: str | None,
) -> int:
    """Wait beside a session; ends with `WAKES` if a Claude Code is to be woken."""
    if tool == "claude" and not _has_a_person():
        return 0
    from ipcbus.doors.notice import waiter, waking

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # its session has ended
    who = waking.parent_from(parent) if parent else None
    alive = waiter.Alive(who, _stderr() if tool == "claude" else None)
    if tool == "claude":
        wake = partial(waking.show, _tell)
    else:
        program = waking.codex_of(who)
        if program is None:
            remark("hook: there is no `codex` to wake the session with")
            return 0
        wake = partial(waking.queue, program, given.session)
    woken = waiter.wait(tool, networks, agent, given.session, alive, wake, timeout)
    return WAKES if woken and tool == "claude" else 0


def _has_a_person() -> bool:
    """Whether somebody sits before this Claude Code. One that carries out a single
    order waits for its hooks when it is done, so it would never end; and its `Stop`
    hook finds the mail. Who drives a session by a program may ask for a waiter."""
    entry = os.environ.get("CLAUDE_CODE_ENTRYPOINT")
    return entry == "cli" or os.environ.get("IPCBUS_WAIT") == "1"


def _stderr() -> int | None:
    """Its descriptor, if it leads to somebody who can go away."""
    with suppress(AttributeError, OSError, ValueError):
        return sys.stderr.fileno()
    return None


def _tell(text: str) -> None:
    """To the model. Raises `OSError` if its CLI has gone."""
    sys.stderr.write(text)
    sys.stderr.flush()
