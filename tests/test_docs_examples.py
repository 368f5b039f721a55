"""Every Python example of the docs is run, each in a network of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.networks import BrokerInfo
from tests.examples import ROOT, Example, examples, missing, run_python

PAGES = sorted((ROOT / "docs").glob("*.md"))
EXAMPLES = [one for page in PAGES for one in examples(page, "python")]


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of who has set nothing: programs that an example starts may be given HOME
    and little else."""
    monkeypatch.delenv("IPCBUS_HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_prints_what_it_shows(
    example: Example, home: Path, broker: BrokerInfo
) -> None:
    assert broker.network == "dev"
    done = run_python(example, home)
    assert done.code == 0, done.out
    lacks = missing(example.shown, done.out)
    assert lacks is None, f"{lacks!r} is not in\n{done.out}"


def test_there_are_examples_and_they_show_their_output() -> None:
    api = [one for one in EXAMPLES if one.page == "python.md"]
    assert len(api) > 8
    assert all(one.shown for one in api)
