"""Installing into real files, and giving them back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ipcbus.doors.install.changes import Change, carry_out, installation, removal
from ipcbus.doors.install.commands import Who
from ipcbus.doors.install.tools import TOOLS, Scope, files
from ipcbus.errors import ConfigError, IpcbusError
from tests.doors.install.conftest import WHO

SETTINGS = """\
\ufeff// what alice likes\r
{\r
\t"theme" : "dark", // at night\r
\t"hooks": {\r
\t\t"Stop": [ { "hooks": [ {"type":"command","command":"beep"} ] }, ],\r
\t},\r
\t/* none yet */ "mcpServers": { }\r
}"""
TABLES = 'model = "x" # mine\r\n\r\n[ mcp_servers . other ]\r\ncommand = "y"'

BOTH: list[Scope] = ["user", "project"]
tools = pytest.mark.parametrize("tool", TOOLS)
scopes = pytest.mark.parametrize("scope", BOTH)


def install(tool: str, scope: Scope = "user", who: Who = WHO) -> list[Change]:
    changes = installation(tool, scope, who)
    carry_out(changes)
    return changes


def uninstall(tool: str, scope: Scope = "user") -> list[Change]:
    changes = removal(tool, scope)
    carry_out(changes)
    return changes


def everything(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder: files with what they hold, folders with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def seed(tool: str, scope: Scope) -> None:
    """Files of others at all the places of a tool."""
    for path, holds in files(tool, scope):
        path.parent.mkdir(exist_ok=True)
        text = TABLES if holds == "tables" else SETTINGS
        path.write_bytes(text.encode())
        path.chmod(0o640)


# --- giving back -------------------------------------------------------------


@scopes
@tools
def test_files_of_others_are_given_back_byte_for_byte(
    user: Path, tool: str, scope: Scope
) -> None:
    seed(tool, scope)
    before = everything(user)
    changes = install(tool, scope)
    assert [change.action for change in changes] == ["changed"] * len(changes)
    assert all(change.path.read_bytes() != SETTINGS.encode() for change in changes)
    uninstall(tool, scope)
    assert everything(user) == before


@scopes
@tools
def test_where_nothing_was_nothing_is_left(user: Path, tool: str, scope: Scope) -> None:
    before = everything(user)
    changes = install(tool, scope)
    assert {change.action for change in changes} == {"created"}
    assert {change.action for change in uninstall(tool, scope)} == {"removed"}
    assert everything(user) == before


@tools
@pytest.mark.parametrize("text", ["", "\n", "\ufeff"])
def test_an_empty_file_is_an_empty_file_again(user: Path, tool: str, text: str) -> None:
    for path, _ in files(tool, "user"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    before = everything(user)
    install(tool)
    uninstall(tool)
    assert everything(user) == before


@pytest.mark.parametrize("text", ["{}", "{ }\n", '{"hooks": {}}', "{\n  // mine\n}\n"])
def test_an_object_with_nothing_in_it_is_not_ours_to_remove(
    user: Path, text: str
) -> None:
    path = user / ".claude.json"
    path.write_text(text)
    install("claude")
    uninstall("claude")
    assert path.read_text() == text


@tools
def test_what_others_added_meanwhile_stays(user: Path, tool: str) -> None:
    install(tool)
    for path, holds in files(tool, "user"):
        if holds == "tables":
            path.write_text(path.read_text() + '\n[late]\nx = "1"\n')
        else:
            path.write_text(json.dumps({**json.loads(path.read_text()), "late": 1}))
    uninstall(tool)
    for path, holds in files(tool, "user"):
        text = path.read_text()
        assert "late" in text
        assert "ipcbus" not in text
        assert holds == "tables" or json.loads(text) == {"late": 1}


def test_a_folder_in_which_others_have_something_stays(user: Path) -> None:
    (user / ".gemini").mkdir()
    (user / ".gemini" / "oauth.json").write_text("{}")
    install("gemini")
    uninstall("gemini")
    assert everything(user / ".gemini") == {"oauth.json": b"{}"}


def test_a_spoilt_backup_spoils_nothing_else(user: Path) -> None:
    seed("claude", "user")
    for change in install("claude"):
        change.backup_path.write_bytes(b"\xff{")
    uninstall("claude")
    assert "ipcbus" not in (user / ".claude.json").read_text()
    assert "beep" in (user / ".claude.json").read_text()


# --- once and again ----------------------------------------------------------


@tools
def test_a_second_time_no_file_is_touched(user: Path, tool: str) -> None:
    seed(tool, "user")
    install(tool)
    before = {path: path.stat().st_mtime_ns for path in user.rglob("*")}
    assert {change.action for change in install(tool)} == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in user.rglob("*")} == before


@tools
def test_to_remove_what_is_not_there_touches_nothing(user: Path, tool: str) -> None:
    seed(tool, "user")
    before = everything(user)
    assert {change.action for change in uninstall(tool)} == {"unchanged"}
    assert everything(user) == before


@tools
def test_the_backup_is_of_before_the_first_installation(user: Path, tool: str) -> None:
    seed(tool, "user")
    install(tool)
    later = WHO._replace(options=("--network", "prod", "--as", "bob"))
    changes = install(tool, who=later)
    assert {change.action for change in changes} == {"changed"}
    for change in changes:
        text = TABLES if change.path.suffix == ".toml" else SETTINGS
        assert change.backup_path.read_bytes() == text.encode()
        assert change.backup_path.stat().st_mode & 0o777 == 0o600
        assert b"prod" in change.path.read_bytes()
        assert b"dev" not in change.path.read_bytes()
    uninstall(tool)
    assert not list(user.rglob("*.ipcbus-backup"))


def test_a_backup_that_still_holds_something_is_kept(user: Path) -> None:
    path = user / ".claude.json"
    path.write_text('{"a": 1}')
    install("claude")
    path.write_text(path.read_text().replace('"a": 1', '"a": 2'))
    uninstall("claude")
    assert path.read_text() == '{"a": 2}'
    kept = user / ".claude.json.ipcbus-backup"
    assert kept.read_text() == '{"a": 1}'
    install("claude")
    assert kept.read_text() == '{"a": 2}'


def test_a_backup_of_a_file_that_is_gone_is_not_given_up(user: Path) -> None:
    path = user / ".claude.json"
    path.write_text('{"a": 1}')
    install("claude")
    path.unlink()
    install("claude")
    kept = user / ".claude.json.ipcbus-backup"
    assert kept.read_text() == '{"a": 1}'
    uninstall("claude")
    assert kept.read_text() == '{"a": 1}'
    assert json.loads(path.read_text()) == {}


# --- what is refused, and changes nothing ------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,, }', "line 1, column 9"),
        ('{"a": 1, "a": 2}', "second time"),
        ("[]", "not an object"),
        ('{"hooks": []}', "hooks is not an object"),
        ('{"hooks": {"Stop": {}}}', "hooks.Stop is not a list"),
    ],
)
def test_a_file_that_is_not_understood_stops_all(
    user: Path, text: str, told: str
) -> None:
    seed("claude", "user")
    (user / ".claude" / "settings.json").write_text(text)
    before = everything(user)
    with pytest.raises(ConfigError) as caught:
        install("claude")
    assert told in str(caught.value)
    assert str(user / ".claude" / "settings.json") in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    assert everything(user) == before


def test_a_table_that_is_not_understood_stops_all(user: Path) -> None:
    seed("codex", "user")
    (user / ".codex" / "config.toml").write_text("a = 1\nb = = 2\n")
    before = everything(user)
    with pytest.raises(ConfigError, match="line 2, column 5"):
        install("codex")
    assert everything(user) == before


def test_a_server_of_our_name_that_is_another_program_stops_all(user: Path) -> None:
    (user / ".claude.json").write_text('{"mcpServers": {"ipcbus": {"command": "x"}}}')
    with pytest.raises(ConfigError, match=r"mcpServers\.ipcbus: is another program"):
        install("claude")
    assert not (user / ".claude").exists()
    assert {change.action for change in uninstall("claude")} == {"unchanged"}


def test_a_file_that_is_not_text_is_refused(user: Path) -> None:
    (user / ".claude.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ConfigError, match="is not UTF-8"):
        install("claude")


# --- links, modes, others at work --------------------------------------------


def test_a_link_stays_and_its_file_is_changed(user: Path) -> None:
    real = user / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_text('{"a": 1}')
    real.chmod(0o604)
    link = user / ".claude.json"
    link.symlink_to(real)
    install("claude")
    assert link.is_symlink()
    assert "ipcbus" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o604
    assert [path.name for path in real.parent.iterdir()] == ["claude.json"]
    uninstall("claude")
    assert link.is_symlink()
    assert real.read_text() == '{"a": 1}'


def test_what_a_link_leads_to_is_never_removed(user: Path) -> None:
    real, link = user / "real.json", user / ".claude.json"
    real.write_text("{}")
    link.symlink_to(real)
    [change, _] = install("claude")
    change.backup_path.unlink()
    uninstall("claude")
    assert json.loads(link.read_text()) == {}


def test_a_link_to_nothing_is_refused(user: Path) -> None:
    (user / ".claude.json").symlink_to(user / "gone")
    with pytest.raises(ConfigError, match=r"is a link to .*gone, which is missing"):
        install("claude")
    assert not (user / "gone").exists()


def test_a_folder_in_the_place_of_a_file_is_refused(user: Path) -> None:
    (user / ".claude.json").mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        install("claude")


def test_a_file_of_another_user_is_refused(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user / ".claude.json").write_text("{}")
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(ConfigError, match=f"another user \\(id {mine}\\)"):
        install("claude")


def test_new_files_of_the_user_are_private(user: Path) -> None:
    for change in install("claude"):
        assert change.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_changed_in_the_meantime_is_left_alone(user: Path) -> None:
    seed("claude", "user")
    changes = installation("claude", "user", WHO)
    late = user / ".claude" / "settings.json"
    late.write_text("{}")
    before = everything(user)
    with pytest.raises(IpcbusError, match="changed by another program"):
        carry_out(changes)
    assert everything(user) == before


def test_a_file_that_appeared_in_the_meantime_is_left_alone(user: Path) -> None:
    changes = installation("gemini", "user", WHO)
    (user / ".gemini").mkdir()
    (user / ".gemini" / "settings.json").write_text("{}")
    with pytest.raises(IpcbusError, match="changed by another program"):
        carry_out(changes)
    assert (user / ".gemini" / "settings.json").read_text() == "{}"


def test_what_stands_where_the_folder_should_be_is_told(user: Path) -> None:
    (user / ".gemini").symlink_to(user / "gone")
    with pytest.raises(ConfigError, match="is no folder; nothing was changed"):
        install("gemini")
    assert not (user / "gone").exists()


def test_a_file_that_another_program_writes_now_is_left_alone(user: Path) -> None:
    seed("claude", "user")
    lock = user / ".claude.json.lock"
    lock.mkdir()
    before = everything(user)
    with pytest.raises(IpcbusError, match="is being written by another program"):
        install("claude")
    assert everything(user) == before


def test_the_lock_of_a_program_that_died_is_taken_over(user: Path) -> None:
    lock = user / ".claude.json.lock"
    lock.mkdir()
    os.utime(lock, (1, 1))
    install("claude")
    assert not lock.exists()
    assert "ipcbus" in (user / ".claude.json").read_text()


def test_a_folder_that_cannot_be_written_is_told(user: Path) -> None:
    (user / ".gemini").write_text("a file")
    with pytest.raises(ConfigError, match=r"settings\.json: the file: cannot be read"):
        install("gemini")
