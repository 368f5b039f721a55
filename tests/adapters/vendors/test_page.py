"""The page about adapters has all options and variables of the platforms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.adapters.vendors.platforms import PLATFORMS, VARIABLES, Platform

PAGE = Path(__file__).parents[3] / "docs" / "adapters.md"


@pytest.fixture
def section() -> str:
    """What stands under its heading, with those below."""
    _, _, rest = PAGE.read_text().partition("\n## Platforms\n")
    text, *_ = rest.split("\n## ")
    assert text
    return text


def test_every_variable_is_there(section: str) -> None:
    assert not [name for name in VARIABLES if f"`{name}`" not in section]


def test_every_option_is_there_and_no_other(section: str) -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section, re.MULTILINE))
    kinds = {one.made_by for one in PLATFORMS}
    assert told.keys() == {name for kind in kinds for name in kind.extras}
    for name, of in told.items():
        have = {kind.name for kind in kinds if name in kind.extras}
        everyone = {kind.name for kind in kinds}
        assert have == (everyone if of == "all" else set(re.findall(r"\w+", of))), name


def test_every_extra_is_there(platform: Platform, section: str) -> None:
    assert f"pip install 'ipcbus[{platform.made_by.needs}]'" in section
