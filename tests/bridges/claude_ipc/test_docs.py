"""docs/moving-from-claude-ipc.md says what the code does."""

from __future__ import annotations

import pytest

import ipcbus
from ipcbus.broker.settings import Settings
from ipcbus.doors.cli import bridge_limits
from ipcbus_bridges.claude_ipc import (
    connection,
    files,
    framing,
    mail,
    olddata,
    plan,
    running,
    state,
    wording,
)
from ipcbus_bridges.claude_ipc.limits import DEFAULTS, RANGES
from tests.examples import ROOT

PAGE = (ROOT / "docs" / "moving-from-claude-ipc.md").read_text()
WORDS = " ".join(PAGE.split())
HOUR_MS = 3600 * 1000


def _receipt(state: str, to: str) -> str:
    return wording.sent("fred", ipcbus.Receipt("m1", state, to), to)


@pytest.mark.parametrize(
    "said",
    [
        wording.registered("fred", 3),
        _receipt("accepted", "fred"),
        _receipt("future", "fred"),
        _receipt("forwarded", "freddy"),
        wording.broadcast(4),
        wording.renamed("fred", "freddy"),
        wording.renamed_notice("fred", "freddy"),
        "large_message_file",
        "original_size_kb",
        mail.SENT_HEADER,
        mail.moved_line("2026-01-31T12:00:00").strip(),
        running.SECRET,
        olddata.DEFAULT,
        olddata.LARGE,
        files.FOLDER,
        f"{state.FOLDER}/{state.FILE}",
    ],
)
def test_what_is_said_is_on_the_page(said: str) -> None:
    assert f"`{said}" in PAGE or f"{said}`" in PAGE


@pytest.mark.parametrize(
    "told",
    [
        f"127.0.0.1:{running.PORT}",
        f"at most {DEFAULTS.answer_size:,} bytes",
        f"{running.RATE} requests a minute",
        f"{DEFAULTS.connections:,} at the most",
        f"up to 1 MiB and {framing.MAX_MARKS:,} values",
        f"Above {mail.LARGE // 1024} KiB",
        f"valid for {DEFAULTS.session_time / 3600:g} hours",
    ],
)
def test_figures_are_on_the_page(told: str) -> None:
    assert told in WORDS


def test_times_are_those_of_the_code() -> None:
    told = (
        f"whole within {DEFAULTS.request_time:g} seconds, an answer is written within "
        f"{connection.WRITE_S:g}, and a connection is closed {connection.PART_S:g} "
        "seconds after its answer"
    )
    assert told in WORDS
    assert f"It does neither for {connection.PART_S:g} seconds" in WORDS
    assert connection.UNSURE_S == 0.25
    assert "quarter of a second" in WORDS
    assert DEFAULTS.file_time == 7 * 24 * 3600
    assert "removed after 7 days" in WORDS
    assert plan.FORWARD_S == 2 * 3600
    assert mail.LARGE == 10 * 1024
    assert DEFAULTS.request_size == (1024 + 64) * 1024


@pytest.mark.parametrize("key", RANGES)
def test_limits_are_on_the_page(key: str) -> None:
    allowed = RANGES[key]
    default = bridge_limits.show(allowed, getattr(DEFAULTS, key))
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |"))
    assert row.endswith(f"| {default} | {bridge_limits.span(allowed)} |")


def test_bounds_of_the_network_are_those_of_its_settings() -> None:
    settings = Settings()
    assert f"{settings.mailbox_messages:,} (`mailbox_messages`)" in WORDS
    assert f"and {settings.future_messages:,} for a name" in WORDS
    assert settings.future_ms == 7 * 24 * HOUR_MS
    assert "waits 7 days" in WORDS
    assert settings.forward_ms == 2 * HOUR_MS
    assert "forwards for 2 hours" in WORDS
    assert settings.rename_ms == HOUR_MS
    assert "one rename an hour" in WORDS
