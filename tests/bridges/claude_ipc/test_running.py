"""What the door does beside its answers goes on for as long as the door does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipcbus_bridges.claude_ipc import running
from tests.waiting import until_async


def test_an_error_nobody_foresaw_is_said_and_does_not_end_the_looking_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LOOK_AFTER_S", 0.0)
    said: list[str] = []
    saved: list[None] = []

    def save_seen() -> None:
        saved.append(None)
        if len(saved) == 1:
            raise RuntimeError("dictionary changed size during iteration")

    async def look() -> None:
        desk: Any = SimpleNamespace(save_seen=save_seen)
        state: Any = SimpleNamespace(folder=tmp_path)
        task = asyncio.ensure_future(running._look_after(desk, state, 60, said.append))
        await until_async(lambda: len(saved) >= 3)
        task.cancel()

    asyncio.run(look())
    (line,) = said
    assert "dictionary changed size" in line
