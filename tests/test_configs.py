"""Every file in configs/ says what it is for, and is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.adapters import scriptfile
from ipcbus.config import dump, load, prices

CONFIGS = Path(__file__).parents[1] / "configs"

PRICES = CONFIGS / "prices.yaml"
FILES = sorted(path for path in CONFIGS.glob("*.yaml") if path.is_file())
FILES.remove(PRICES)


def test_each_folder_is_read_by_tests_of_its_own() -> None:
    """In tests/bridges/test_rulefile.py, in tests/doors/install/test_shipped.py, and
    below."""
    folders = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    assert folders == {"claude-plugin", "gemini-extension", "rules", "scripts"}


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


def test_agents_of_all_platforms_work_together_in_one() -> None:
    config = load(CONFIGS / "agents.yaml")
    adapters = {each.adapter for each in config.agents.values()}
    assert adapters == {"anthropic", "openai", "gemini", "ollama", "command"}
    assert {each.network for each in config.agents.values()} == {"dev", "prod"}
    assert config.bridges
    assert config.prices == PRICES


def test_its_prices_are_read_and_called_made_up() -> None:
    assert all(each.input >= 0 for each in prices.load(PRICES).values())
    assert "MADE UP" in PRICES.read_text()


def test_scripts_are_read_and_those_that_a_file_names_are_there() -> None:
    scripts = sorted((CONFIGS / "scripts").iterdir())
    config = load(CONFIGS / "scripted.yaml")
    named = {CONFIGS / each.options["file"] for each in config.agents.values()}
    assert named == set(scripts)
    assert all(scriptfile.read(path).replies for path in scripts)
