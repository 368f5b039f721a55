"""Every file in configs/ says what it is for, and is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.config import dump, load

CONFIGS = Path(__file__).parents[1] / "configs"

FILES = sorted(path for path in CONFIGS.glob("*.yaml") if path.is_file())


def test_each_folder_is_read_by_tests_of_its_own() -> None:
    """In tests/bridges/test_rulefile.py and in tests/doors/install/test_shipped.py."""
    folders = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    assert folders == {"claude-plugin", "gemini-extension", "rules"}


def test_there_are_some() -> None:
    assert [path.name for path in FILES if path.suffix == ".yaml"] == [
        path.name for path in FILES
    ]
    assert len(FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_begins_with_what_it_is_for_and_how_to_use_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    comment = lines[: next(n for n, line in enumerate(lines) if line[:1] != "#")]
    assert len(comment) >= 3
    assert any(f"ipcbus up --config configs/{path.name}" in line for line in comment)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_read_and_written_back_the_same(path: Path, tmp_path: Path) -> None:
    config = load(path)
    assert config.networks
    again = tmp_path / "again.yaml"
    again.write_text(dump(config))
    assert load(again) == config
