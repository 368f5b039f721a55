"""The README's tour is run as a reader would run it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.examples import ROOT, Example, examples, missing, run_python, run_shell

README = ROOT / "README.md"


def test_the_tour_does_what_it_says(home: Path) -> None:
    """Shell and Python in the order in which they stand; the last block is `down`."""
    shell = examples(README, "sh")
    (python,) = examples(README, "python")
    before = [one for one in shell if one.line < python.line]
    after = [one for one in shell if one.line > python.line]
    assert before
    assert after, "the tour ends with `down`"

    _check_shell(before, home)
    done = run_python(python, home)
    assert done.code == 0, done.out
    assert not missing(python.shown, done.out), done.out
    _check_shell(after, home)

    networks = sorted((home / "networks").iterdir())
    assert [network.name for network in networks] == ["dev", "prod"]
    for network in networks:
        assert not (network / "broker.json").exists(), "it has stopped"
        saved = json.loads((network / "network.json").read_text())
        assert saved["name"] == network.name


def _check_shell(blocks: list[Example], home: Path) -> None:
    ran = []
    for example, done in run_shell(blocks, home):
        assert done.code == 0, f"{example}:\n{example.code}\n{done.out}"
        lacks = missing(example.shown, done.out)
        assert lacks is None, f"{example}: {lacks!r} is not in\n{done.out}"
        ran.append(example)
    assert ran == blocks


def test_it_opens_with_what_it_is_and_two_commands() -> None:
    text = README.read_text()
    opening = text[: text.index("## ")]
    assert "make demo" in opening
    assert "make test" in opening
    assert "docs/networks.svg" in opening


def test_a_command_that_fails_would_be_found(home: Path) -> None:
    wrong = Example("x.md", 1, "sh", "true\nfalse\ntrue\n", [])
    never = Example("x.md", 5, "sh", "echo never\n", [])
    ended = list(run_shell([wrong, never], home))
    assert [(one.line, done.code) for one, done in ended] == [(1, 1)]


def test_a_wrong_exit_code_would_be_found(home: Path) -> None:
    right = Example("x.md", 1, "sh", "(exit 3)   # exit code 3: as it says\n", [])
    wrong = Example("x.md", 3, "sh", "(exit 3)   # exit code 6\n", [])
    assert [done.code for _, done in run_shell([right, wrong], home)] == [0, 1]


def test_output_that_is_not_as_shown_would_be_found() -> None:
    out = "accepted  to bob  id 01\n  | hello\nno mail\n"
    assert missing(["accepted  to bob  id ...", "no mail"], out) is None
    assert missing(["no mail", "  | hello"], out) == "  | hello", "the order counts"
    assert missing(["rejected"], out) == "rejected"
