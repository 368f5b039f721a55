"""Every file in configs/ says what it is for, and is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.config import dump, load

FILES = sorted(
    path
    for path in (Path(__file__).parents[1] / "configs").glob("*.yaml")
    if path.is_file()  # rules are in a folder of their own
)


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
