"""`install` and `uninstall`, as commands. What they do to files is tested in
tests/doors/install/."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipcbus import networks
from tests.doors.cli.conftest import Done, Run

TOOLS = pytest.mark.parametrize("tool", ["claude", "gemini", "codex"])

Install = Callable[..., Done]


@pytest.fixture
def alone(run: Run, tmp_path: Path) -> Install:
    """Run a command line as a user with a home that is `tmp_path`."""
    others = {"CLAUDE_CONFIG_DIR": "", "CODEX_HOME": "", "GEMINI_CLI_HOME": ""}

    def alone(*args: str, **options: Any) -> Done:
        return run(*args, env={"HOME": str(tmp_path), **others}, **options)

    return alone


def written(home: Path) -> str:
    return "".join(path.read_text() for path in home.rglob("*") if path.is_file())


@TOOLS
def test_it_is_put_in_once_and_taken_out_once(
    alone: Install, tmp_path: Path, tool: str
) -> None:
    first = alone("install", tool, "--network", "dev", "--json").json
    assert (first["changed"], first["network"], first["as"]) == (True, "dev", tool)
    assert {each["action"] for each in first["files"]} == {"created"}
    assert all(Path(each["file"]).is_file() for each in first["files"])
    assert first["note"]

    again = alone("install", tool, "--network", "dev")
    assert (again.code, again.out) == (0, "nothing to do\n")

    gone = alone("uninstall", tool, "--json").json
    assert {each["action"] for each in gone["files"]} == {"removed"}
    assert not list(tmp_path.iterdir())
    assert alone("uninstall", tool).out == "nothing to do\n"


@TOOLS
def test_a_dry_run_shows_what_would_change_and_changes_nothing(
    alone: Install, tmp_path: Path, tool: str
) -> None:
    done = alone("install", tool, "--network", "dev", "--dry-run")
    assert done.code == 0
    assert "\n+" in done.out
    assert f"hook {tool} SessionStart" in done.out
    assert not list(tmp_path.iterdir())

    shown = alone("install", tool, "--network", "dev", "--dry-run", "--json").json
    assert shown["dry_run"]
    assert all(each["diff"] for each in shown["files"])
    assert not list(tmp_path.iterdir())


def test_no_network_is_made_and_none_is_started(
    alone: Install, home: Path, tmp_path: Path
) -> None:
    assert alone("install", "gemini", "--network", "later").code == 0
    assert not (home / "networks").exists()
    assert '"later"' in written(tmp_path)


def test_without_a_name_it_is_the_only_network_there_is(
    alone: Install, home: Path, tmp_path: Path
) -> None:
    assert alone("install", "claude").code == 4
    assert not list(tmp_path.iterdir())
    networks.create("lone")
    assert alone("install", "claude", "--json").json["network"] == "lone"


def test_who_installs_does_not_lend_its_own_name(
    alone: Install, tmp_path: Path
) -> None:
    """Two agents of one name is what the name is for to prevent."""
    made = alone("install", "codex", "--network", "dev", "--json", agent="alice").json
    assert made["as"] == "codex"
    assert "alice" not in written(tmp_path)
    named = alone("install", "codex", "--network", "dev", "--as", "eve", "--json").json
    assert named["as"] == "eve"


def test_an_ai_may_be_in_several_networks(alone: Install, tmp_path: Path) -> None:
    made = alone("install", "claude", "--network", "dev,prod", "--json").json

    assert made["network"] == "dev,prod"
    assert '"dev,prod"' in written(tmp_path)
    assert "hook claude Stop --network dev,prod --as claude" in written(tmp_path)


@pytest.mark.parametrize("wrong", ["not a name", "a,b c", "a/b"])
def test_a_name_that_nobody_can_have_is_refused(
    alone: Install, tmp_path: Path, wrong: str
) -> None:
    done = alone("install", "claude", "--network", wrong)
    assert done.code == 2
    assert not list(tmp_path.iterdir())


def test_a_tool_that_is_not_known_is_a_usage_error(alone: Install) -> None:
    assert alone("install", "emacs", "--network", "dev").code == 2
    assert alone("uninstall", "emacs").code == 2


def test_a_file_that_is_not_understood_is_told_with_its_place(
    alone: Install, tmp_path: Path
) -> None:
    path = tmp_path / ".claude.json"
    path.write_text('{\n  "a": oops\n}')
    done = alone("install", "claude", "--network", "dev", "--json")
    assert done.code == 2
    error = done.json["error"]
    assert (error["code"], error["file"]) == ("config", str(path))
    assert "line 2, column 8" in error["message"]
    assert [each.name for each in tmp_path.iterdir()] == [".claude.json"]


def test_the_backup_is_told(alone: Install, tmp_path: Path) -> None:
    path = tmp_path / ".claude.json"
    path.write_text('{"oauthToken": "sk-1234"}')
    shown = alone("install", "claude", "--network", "dev", "--dry-run")
    assert "sk-1234" not in shown.out
    made = alone("install", "claude", "--network", "dev", "--json").json
    assert made["files"][0]["backup"] == f"{path}.ipcbus-backup"
    assert json.loads(path.read_text())["oauthToken"] == "sk-1234"
