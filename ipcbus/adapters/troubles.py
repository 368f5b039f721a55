"""Why a program gave no answer, as the error that tells the runner what to do."""

from __future__ import annotations

import signal
from collections.abc import Callable
from errno import E2BIG, ENOENT
from typing import Final

from ipcbus.adapters.presets import Outcome, status_in
from ipcbus.adapters.programs import Done
from ipcbus.doors.text import safe_line
from ipcbus.errors import (
    AdapterFailed,
    AdapterMissing,
    KeyRefused,
    Overloaded,
    TooLong,
)

REASON: Final = 600
"""Letters of what it said: the end, where programs say what matters."""

RETRY_S: Final = 30.0
"""Seconds to wait for a platform that is busy: the program has tried again itself."""

SYSEXITS: Final = {75: 503, 77: 401}
"""EX_TEMPFAIL and EX_NOPERM of sysexits(3), which any program can end with, and the
HTTP status that means the same."""

_TOO_LONG: Final = ("prompt is too long", "context_length_exceeded", "context window")


def not_started(name: str, error: OSError) -> AdapterFailed:
    if error.errno == E2BIG:
        return TooLong(adapter="command", reason="the prompt is too long an argument")
    kind = AdapterMissing if error.errno == ENOENT else AdapterFailed
    reason = f"{name} cannot be started: {error.strerror}"
    return kind(adapter="command", reason=reason)


def after_its_end(
    name: str, done: Done, outcome: Outcome, without_secrets: Callable[[str], str]
) -> AdapterFailed:
    """What became of a program that ended without an answer."""
    told = outcome.problem if outcome.is_known or not done.code else ""
    said = told or done.err.strip() or done.out.strip()
    status = outcome.status or SYSEXITS.get(done.code)
    if status is None and done.code and outcome.is_known:
        status = status_in(said)
    reason = f"{name} {_ended(done.code)}{_quoted(without_secrets(said))}"
    if status in (401, 403):
        return KeyRefused(adapter="command", reason=reason)
    if status in (429, 503, 529):
        return Overloaded(adapter="command", reason=reason, retry_after_s=RETRY_S)
    if outcome.is_known and any(words in said.lower() for words in _TOO_LONG):
        return TooLong(adapter="command", reason=reason)
    return AdapterFailed(adapter="command", reason=reason)


def _ended(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with {code}" if code else "gave no answer"


def _quoted(said: str) -> str:
    """The end of it on one line, with what a terminal would obey made visible."""
    lines = [safe_line(line.strip()) for line in said.splitlines() if line.strip()]
    text = " / ".join(lines)
    if len(text) > REASON:
        text = f"... {text[-REASON:]}"
    return f": {text}" if text else ""
