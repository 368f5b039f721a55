"""The foreign network that docs/bridges.md shows, word for word, against a broker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from ipcbus import Client
from ipcbus.networks import BrokerInfo
from tests.bridges.town import Bridge, Home, bridge
from tests.examples import ROOT, examples
from tests.waiting import until

GUIDE = ROOT / "docs/bridges.md"
MOST_LINES = 60
WAIT_S = 20.0
IN, OUT = "notes -> dev", "dev -> notes"

(EXAMPLE,) = (one for one in examples(GUIDE, "python") if "Notes" in one.code)


class Notes(NamedTuple):
    """The folder that is bridged, and what it takes to bridge it."""

    folder: Path
    home: Home
    logs: Path

    @contextmanager
    def bridged(self) -> Iterator[Bridge]:
        command = ("-m", "ipcbus", "bridge", f"notes:{self.folder}", "dev")
        with bridge(self.home, self.logs, *command) as running:
            running.runs(IN, OUT)
            yield running

    def write(self, name: str, text: str) -> None:
        """As a program does it that wants no half a file to be read."""
        part = self.folder / name
        part.write_text(text)
        part.rename(self.folder / "writer" / "out" / name)

    def there(self, where: str, bound: float = WAIT_S) -> list[Path]:
        """The files of a folder of the writer, once there are any."""
        folder = self.folder / "writer" / where
        until(lambda: any(folder.glob("*")), f"something in {where}", bound)
        return sorted(folder.glob("*"))

    def refuses_with(self, reason: str) -> bool:
        return any(reason in file.read_text() for file in self.there("refused"))


@pytest.fixture
def notes(home: Path, tmp_path: Path, broker: BrokerInfo) -> Notes:
    """Notes with the agent `writer`; the example is installed as a package would be."""
    assert broker.network == "dev"
    installed = tmp_path / "installed"
    metadata = installed / "notes_bridge-1.0.dist-info"
    metadata.mkdir(parents=True)
    (installed / "notes_bridge.py").write_text(EXAMPLE.code)
    (metadata / "METADATA").write_text("Name: notes-bridge\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_entry_points())
    (tmp_path / "notes" / "writer" / "out").mkdir(parents=True)
    here = Home(home, ("env", f"PYTHONPATH={installed}"))
    return Notes(tmp_path / "notes", here, tmp_path)


def _entry_points() -> str:
    """What a build makes of the lines of pyproject.toml that the page shows."""
    toml = re.search(
        r"^```toml\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert toml is not None
    head, entry = toml[1].splitlines()
    assert head == '[project.entry-points."ipcbus.bridges"]'
    return f"[ipcbus.bridges]\n{entry}\n".replace('"', "")


@pytest.fixture
def bob(broker: BrokerInfo) -> Iterator[Client]:
    with ipcbus.connect("dev", agent="bob") as client:
        yield client


def _next(client: Client) -> ipcbus.Message:
    (message,) = client.receive(1, timeout=WAIT_S)
    message.ack().result(timeout=WAIT_S)
    return message


def test_it_is_short() -> None:
    assert len(EXAMPLE.code.splitlines()) <= MOST_LINES


def test_mail_becomes_files_and_files_become_mail(notes: Notes, bob: Client) -> None:
    with notes.bridged():
        receipt = bob.send("writer@notes", "what is new?", id="q1", receipt="relayed")
        assert receipt.state == "accepted"
        (file,) = notes.there("in")
        assert (file.name, file.read_text()) == ("q1@dev", "bob@dev\nwhat is new?")
        assert _next(bob).data["event"] == "relayed"

        notes.write("news.txt", "bob@dev\nthe schema has changed\n")
        message = _next(bob)
        assert (message.sender, message.body) == (
            "writer@notes",
            "the schema has changed\n",
        )
        assert (message.trust, list(message.hops)) == ("foreign", ["notes"])
        assert [file.name for file in notes.there("sent")] == ["news.txt"]

        message.reply("thank you")
        until(lambda: len(notes.there("in")) == 2, "the answer is there")


def test_what_cannot_be_delivered_comes_back_on_both_sides(
    notes: Notes, bob: Client
) -> None:
    with notes.bridged():
        bob.send("nobody@notes", "hello", id="q1")
        bounce = _next(bob)
        assert (bounce.kind, bounce.data["status"]) == ("bounce", "5.1.1")
        assert "nobody is called nobody in notes" in bounce.data["reason"]

        notes.write("typo", "bbo@dev\nhello")
        notes.write("nowhere", "to whom it may concern\nhello")
        for reason in "5.1.1 nobody is called bbo in dev", "5.6.0":
            until(partial(notes.refuses_with, reason), f"{reason} beside its file")
        assert len(notes.there("refused")) == 4


def test_a_bridge_that_is_killed_loses_nothing_and_repeats_nothing(
    notes: Notes, bob: Client
) -> None:
    count = 30
    for number in range(count):
        notes.write(f"{number:03}", f"bob@dev\n{number}")
    with notes.bridged():
        first = _next(bob)  # it is at it
    with notes.bridged():
        bodies = [first.body, *(_next(bob).body for _ in range(count - 1))]
        until(lambda: len(notes.there("sent")) == count, "all have been sent")
        assert bodies == [str(number) for number in range(count)]
        assert not bob.receive(1, timeout=0.5)


def test_a_folder_that_is_not_there_is_waited_for(notes: Notes, bob: Client) -> None:
    away = notes.folder.rename(notes.folder.with_name("away"))
    command = ("-m", "ipcbus", "bridge", f"notes:{notes.folder}", "dev")
    with bridge(notes.home, notes.logs, *command) as waiting:
        said = f"connecting: notes: there is no folder {notes.folder}"
        until(lambda: waiting.state(IN) == said, f"{IN}: {said}")
        away.rename(notes.folder)
        waiting.runs(IN, OUT)
