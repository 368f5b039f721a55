"""What is written is checked: the docs have everything that there is, and no more.

The tables of PROTOCOL.md are compared word by word in tests/protocol/test_text.py,
the options of commands in tests/doors/cli/test_docs.py, and the files in configs/ are
read in tests/test_configs.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from ipcbus.config.settings import FIELDS
from ipcbus.doors.cli.commands import COMMANDS
from ipcbus.errors import BY_CODE
from ipcbus.protocol import limits
from ipcbus.protocol.calls import METHODS

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
SOURCE: Final = sorted((ROOT / "ipcbus").rglob("*.py"))


def _page(name: str) -> str:
    path = ROOT / name
    assert path.exists(), f"{name} is not written yet"
    return path.read_text()


def _all_docs() -> str:
    return "\n".join(page.read_text() for page in PAGES if page.name != "CHANGELOG.md")


def _code(text: str) -> set[str]:
    """All words that stand in code marks or code blocks."""
    marked = re.findall(r"```.*?```|`[^`\n]+`|^ {4}.*$", text, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"[\w-]+", "\n".join(marked)))


def _missing(wanted: set[str], text: str) -> list[str]:
    return sorted(wanted - _code(text))


# --- codes, limits, calls ----------------------------------------------------


def test_every_error_code_is_in_the_docs() -> None:
    assert not _missing(set(BY_CODE), _page("PROTOCOL.md"))
    assert not _missing(set(BY_CODE), _page("docs/cli.md"))


def test_every_exit_code_is_in_the_page_of_the_command_line() -> None:
    told = re.findall(r"^\| (\d+) \|", _page("docs/cli.md"), re.MULTILINE)
    wanted = {0, *(kind.exit_code for kind in BY_CODE.values())}
    assert not wanted - set(map(int, told))


def test_every_limit_and_every_call_is_in_the_protocol() -> None:
    names = {name for name in vars(limits) if name.isupper()} - {"KIB", "MIB"}
    assert not _missing(names | set(METHODS), _page("PROTOCOL.md"))


def test_every_setting_of_a_network_is_in_the_docs() -> None:
    assert not _missing(set(FIELDS), _page("docs/configuration.md"))


def test_every_counter_of_a_broker_is_in_the_docs() -> None:
    source = "\n".join(
        path.read_text() for path in (ROOT / "ipcbus/broker").glob("*.py")
    )
    counters = set(re.findall(r'counted\["(\w+)"\]', source))
    assert counters, "no counters were found: the test must be mended"
    assert not _missing(counters, _page("docs/operations.md"))


def test_every_environment_variable_is_in_the_docs() -> None:
    source = "\n".join(path.read_text() for path in SOURCE)
    wanted = set(re.findall(r"\bIPCBUS_[A-Z]+(?:_[A-Z]+)*\b", source))
    assert not _missing(wanted, _all_docs())


# --- the command line --------------------------------------------------------


def test_every_command_has_a_section_in_the_page_of_the_command_line() -> None:
    """Their options are compared in tests/doors/cli/test_docs.py."""
    headings = re.findall(r"^### `ipcbus ([\w-]+)", _page("docs/cli.md"), re.MULTILINE)
    assert set(headings) == set(COMMANDS)


def test_no_command_is_described_that_does_not_exist() -> None:
    told = set(
        re.findall(r"^ *(?:\$ )?ipcbus ([a-z][a-z-]+)\b", _all_code(), re.MULTILINE)
    )
    assert not told - set(COMMANDS)


def _all_code() -> str:
    """Code blocks and what stands between code marks, each on lines of its own."""
    text = _all_docs()
    marked = re.findall(r"`([^`\n]+)`", text)
    indented = re.findall(r"^ {4}.*$", text, re.MULTILINE)
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return "\n".join([*marked, *indented, *fenced])


# --- files and links ---------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "PROTOCOL.md",
        "CHANGELOG.md",
        "docs/cli.md",
        "docs/configuration.md",
        "docs/operations.md",
        "docs/zeromq.md",
    ],
)
def test_a_page_that_people_will_look_for_is_there(name: str) -> None:
    assert len(_page(name)) > 500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not re.match(r"[a-z]+:", target) and not _leads_somewhere(page, target)
    ]
    assert not broken


def _leads_somewhere(page: Path, target: str) -> bool:
    file, _, anchor = target.partition("#")
    path = (page.parent / file).resolve() if file else page
    if not path.exists():
        return False
    return not anchor or anchor in _anchors(path.read_text())


def _anchors(text: str) -> set[str]:
    """The anchors of headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def test_every_page_that_code_or_docs_refer_to_is_there() -> None:
    texts = [path.read_text() for path in (*SOURCE, *PAGES)]
    told = set(re.findall(r"(?<!main/)\bdocs/[\w-]+\.md\b", "\n".join(texts)))
    told.discard("docs/db.md")  # in what alice writes to bob
    assert not {name for name in told if not (ROOT / name).exists()}


def test_make_help_tells_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split()
    assert "proof" in phony
    told = set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
    assert told == set(phony)


def test_what_is_missing_would_be_found() -> None:
    assert _missing({"there", "gone"}, "a `there` and gone") == ["gone"]
    assert not _leads_somewhere(ROOT / "PROTOCOL.md", "nowhere.md")
    assert not _leads_somewhere(ROOT / "PROTOCOL.md", "#no-such-heading")
    assert _leads_somewhere(ROOT / "PROTOCOL.md", "#8-limits")
