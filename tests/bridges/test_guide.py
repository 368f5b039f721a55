"""docs/bridges.md: its shell examples are run as a reader would run them, and its
tables have all that there is."""

from __future__ import annotations

import re
from pathlib import Path

from ipcbus import links
from ipcbus.broker.returns import LINK_ENDINGS
from ipcbus_bridges import link as states_of
from tests.bridges.town import DEV, PROD, Home, link
from tests.examples import ROOT, examples, missing, run_shell

GUIDE = ROOT / "docs/bridges.md"


def test_the_guide_does_what_it_says(home: Path) -> None:
    blocks = examples(GUIDE, "sh")
    ran = []
    for example, done in run_shell(blocks, home):
        assert done.code == 0, f"{example}:\n{example.code}\n{done.out}"
        lacks = missing(example.shown, done.out)
        assert lacks is None, f"{example}: {lacks!r} is not in\n{done.out}"
        ran.append(example)
    assert ran == blocks


def test_every_key_of_a_link_is_told(home: Path) -> None:
    here = Home(home)
    here.start(here.network(DEV))
    with here.inside():
        links.connect(DEV, PROD, tell=lambda event: None).close(1.0, keep_leases=False)
    said = link(here, DEV, PROD)
    text = GUIDE.read_text().split("### What a broker says of its links", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    told = set(re.findall(r"`(\w+)`", table[0]))
    wanted = {*said, *said["counters"], *said["came"], *said["terms"], *said["grants"]}
    assert wanted <= told
    assert {name for row in _first_cells(table[0]) for name in row} == set(said)


def _first_cells(table: str) -> list[list[str]]:
    rows = table.splitlines()[2:]
    return [re.findall(r"`(\w+)`", row.split("|")[1]) for row in rows]


def test_every_counter_of_the_sum_is_told() -> None:
    text = GUIDE.read_text()
    law = re.search(r"^    offered = (.*)$", text, re.MULTILINE)
    assert law is not None
    told = [one.strip() for one in law[1].split("+")]
    assert told == [*LINK_ENDINGS, "queued", "in flight", "held"]


def test_every_state_of_a_link_is_told() -> None:
    drawn = (states_of.__doc__ or "").split("States,", 1)[1]
    states = set(re.findall(r"^    (\w+)(?:, (\w+))?  ", drawn, re.MULTILINE))
    wanted = {name for pair in states for name in pair if name}
    text = GUIDE.read_text().split("### States of a link", 1)[1].split("###", 1)[0]
    told = set(re.findall(r"^\| `([\w ]+)`", text, re.MULTILINE))
    assert len(wanted) > 8
    of_status = {"no bridge", "closed", "in only", "silent"}
    assert told - wanted == of_status
    assert wanted <= told
