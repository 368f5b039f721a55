"""A home of a user who has none of the tools yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.doors.install.commands import Who

WHO = Who(("/opt/ipcbus",), ("--network", "dev", "--as", "ann"))


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home. The working folder is a project in it."""
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return tmp_path
