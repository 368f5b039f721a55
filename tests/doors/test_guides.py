"""The pages for each kind of agent: their shell lines are run as a reader would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples import ROOT, examples, missing, run_shell

PAGES = [
    page
    for name in (
        "adapters",
        "claude-code",
        "codex",
        "function-calling",
        "gemini-cli",
        "mcp",
        "shell",
    )
    if examples(page := ROOT / "docs" / f"{name}.md", "sh")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_what_it_says(page: Path, home: Path) -> None:
    blocks = examples(page, "sh")
    ran = []
    for example, done in run_shell(blocks, home):
        assert done.code == 0, f"{example}:\n{example.code}\n{done.out}"
        lacks = missing(example.shown, done.out)
        assert lacks is None, f"{example}: {lacks!r} is not in\n{done.out}"
        ran.append(example)
    assert ran == blocks
