"""Numbers and names in the docs are those of the code."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

import pytest

import ipcbus
from ipcbus import config, errors
from ipcbus.broker.settings import Settings
from ipcbus.broker.sums import DURABLE, ENDINGS
from ipcbus.config.settings import FIELDS, KINDS
from ipcbus.errors import CannotServe
from ipcbus.networks import BrokerInfo
from ipcbus.protocol import limits
from ipcbus.transport.restarts import Then, then

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next one of its rank."""
    found = re.search(
        rf"^(#+) {title}$\n(.*?)(?=^\1 |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"there is no section {title!r}"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, without code marks."""
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [
        [cell.strip().replace("`", "") for cell in re.split(r" \| ", line)]
        for line in lines
    ]


def test_every_setting_has_its_key_and_its_default() -> None:
    told = {
        key: (field, default)
        for key, field, default, *_ in rows(section(page("operations.md"), "Settings"))
        if key in FIELDS
    }
    defaults = dataclasses.asdict(Settings())
    assert told == {
        key: (field, str(KINDS[key].show(defaults[field])))
        for key, field in FIELDS.items()
    }


def test_every_setting_has_its_bounds() -> None:
    told = {
        key: (allowed, default)
        for key, allowed, default in rows(section(page("configuration.md"), "Settings"))
        if key in KINDS
    }
    defaults = dataclasses.asdict(Settings())
    assert told == {
        key: (kind.allowed(), str(kind.show(defaults[FIELDS[key]])))
        for key, kind in KINDS.items()
    }


def test_examples_of_configurations_load(tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", page("configuration.md"), re.MULTILINE | re.DOTALL
    )
    assert blocks
    for block in blocks:
        file = tmp_path / "networks.yaml"
        file.write_text(block)
        assert set(config.load(file).networks) == {"dev", "prod", "scratch"}


def test_limits_of_the_protocol_are_as_told() -> None:
    text = section(page("operations.md"), "Limits of the protocol")
    told = {name: value for name, value, *_ in rows(text) if name.isupper()}
    assert len(told) > 10
    assert told == {name: str(getattr(limits, name)) for name in told}


def test_the_counters_that_must_add_up_are_told_first() -> None:
    told = [name for name, *_ in rows(section(page("operations.md"), "Counters"))]
    durable = told[1 : 1 + len(DURABLE)]
    assert set(durable) == set(DURABLE), "these survive a crash, and are listed first"
    assert set(ENDINGS) < set(durable)


def test_what_a_supervisor_does_is_as_told() -> None:
    """docs/operations.md, exit codes of a broker, against the table in the code."""
    words = {
        Then.DONE: "it stays down",
        Then.WAIT: "waits until",
        Then.GIVE_UP: "given up",
        Then.AGAIN: "again",
    }
    text = section(page("operations.md"), "Exit codes of a broker")
    told = {int(code): what for code, _, what in rows(text) if code.isdigit()}
    assert set(told) >= {0, *(kind.exit_code for kind in _kinds(CannotServe))}
    for code, what in told.items():
        assert what.startswith(words[then(code, 1)]), (code, what)


def _kinds(kind: type[errors.IpcbusError]) -> list[type[errors.IpcbusError]]:
    found = [kind]
    for child in kind.__subclasses__():
        found += _kinds(child)
    return found


def test_every_field_of_status_is_told(broker: BrokerInfo) -> None:
    with (
        ipcbus.connect("dev", agent="bob") as bob,
        ipcbus.connect("dev", agent="") as operator,
    ):
        bob.send("bob", "to myself")
        said = operator.status()
    text = section(page("operations.md"), "Status")
    told = set(re.findall(r"`(\w+)`", text))
    wanted = {*said, *said["store"], *said["mailboxes"]["bob"], *said["counters"]}
    assert wanted <= told


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_tests_that_are_named_exist(path: Path) -> None:
    named = re.findall(r"\btests/[\w/.-]+\.py(?:::\w+)?", path.read_text())
    assert [one for one in named if not _exists(one)] == []


def _exists(name: str) -> bool:
    file, _, function = name.partition("::")
    path = ROOT / file
    return path.exists() and (not function or f"def {function}(" in path.read_text())


def test_a_test_that_is_not_there_would_be_found() -> None:
    assert _exists("tests/test_docs_facts.py::test_tests_that_are_named_exist")
    assert not _exists("tests/test_docs_facts.py::test_of_nothing")
    assert not _exists("tests/test_nothing.py")


def test_no_page_has_words_of_a_workplace_or_paths_of_a_machine() -> None:
    pattern = re.compile(r"/(work|root|home/\w+)/|\bTODO\b|\bFIXME\b")
    assert {
        path.name: pattern.findall(path.read_text())
        for path in PAGES
        if pattern.search(path.read_text())
    } == {}
