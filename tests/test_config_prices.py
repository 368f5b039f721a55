"""The file with what models cost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipcbus.adapters import budget
from ipcbus.adapters.budget import price_of
from ipcbus.config import prices
from ipcbus.config.prices import Price
from ipcbus.doors.cli.agent_file import prices_from
from ipcbus.errors import ConfigError
from tests.examples import ROOT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prices.yaml"


def test_prices_are_read_in_the_order_of_the_file(file: Path) -> None:
    file.write_text(
        "prices:\n"
        "  claude-haiku-*: {input: 1, output: 5}\n"
        "  claude-*: {input: 0.0375, output: 15.5}\n"
        '  "*": {input: 0, output: 0}\n'
    )
    found = prices.load(file)
    assert list(found.items()) == [
        ("claude-haiku-*", Price(1, 5)),
        ("claude-*", Price(0.0375, 15.5)),
        ("*", Price(0, 0)),
    ]
    known = prices_from(file)
    assert price_of("claude-haiku-4", known) == budget.Price(1, 5)
    assert price_of("claude-x", known) == budget.Price(0.0375, 15.5)


def test_without_a_file_nothing_is_known_and_nothing_is_guessed() -> None:
    assert price_of("claude", prices_from(None)) is None


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "prices is missing"),
        ("prices:", 1, "prices is missing"),
        ("price: {}", 1, "did you mean prices"),
        ("prices: [x]", 1, "keys with values"),
        ("prices:\n  x: 5", 2, "prices.x.*keys with values"),
        ("prices:\n  x: {input: 1}", 2, "prices.x.*output is missing.*from 0"),
        ("prices:\n  x: {input: 1, outptu: 1}", 2, "did you mean output"),
        ("prices:\n  x:\n    input: -1", 3, "prices.x.input.*a number from 0"),
        ("prices:\n  x:\n    input: $1", 3, "prices.x.input.*a number from 0"),
        ("prices:\n  x:\n    input: 1e3", 3, "such as 2.5"),
        ("prices:\n  x:\n    input: .nan", 3, "such as 2.5"),
    ],
)
def test_an_error_names_place_and_line_and_what_is_allowed(
    file: Path, text: str, line: int, says: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        prices.load(file)
    assert re.search(says, str(caught.value)), str(caught.value)
    assert caught.value.line == line


def test_the_example_of_the_docs_is_read(file: Path) -> None:
    text = (ROOT / "docs" / "adapters.md").read_text()
    [block] = re.findall(
        r"^```yaml\n(prices:\n.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    file.write_text(block)
    assert len(prices.load(file)) == 2
