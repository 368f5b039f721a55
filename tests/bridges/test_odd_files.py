"""What is no text, where rules are given: it is said, and no bridge starts with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipcbus.errors import ConfigError
from ipcbus_bridges import rulefile
from ipcbus_bridges.runner import Bridge

ODD = os.fsdecode(b"r\xff.yaml")


@pytest.mark.parametrize("name", [ODD, "r\0.yaml"], ids=["bytes", "nul"])
def test_a_file_whose_name_nobody_could_be_told_is_refused(
    tmp_path: Path, name: str
) -> None:
    if "\0" not in name:
        (tmp_path / name).write_text("rules: []")
    with pytest.raises(ConfigError, match="path is not UTF-8 text; give it another"):
        Bridge(
            "dev",
            "prod",
            tmp_path / name,
            [],
            [],
            one_way=False,
            start=False,
            say=print,
        )


def test_so_is_one_in_a_folder_of_such_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"d\xff")
    folder.mkdir()
    (folder / "rules.yaml").write_text("rules: []")
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match="path is not UTF-8 text"):
        rulefile.build([], [], Path("rules.yaml"), "dev", "prod")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"rules: [\xff]")
    with pytest.raises(ConfigError, match=r"rules\.yaml: the file: is not UTF-8"):
        rulefile.build([], [], path, "dev", "prod")


@pytest.mark.parametrize("allow", [True, False])
def test_a_rule_of_the_command_line_that_is_no_text_is_refused(allow: bool) -> None:
    texts = [os.fsdecode(b"a -> b labels=x\xff")]
    given = (texts, []) if allow else ([], texts)
    with pytest.raises(ConfigError, match=r"labels=x.*is not UTF-8 text"):
        rulefile.build(*given, None, "dev", "prod")
