"""What is brought over for whom: once for all who wait for it, a few at a time, and
again later if that can help."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ipcbus import errors
from ipcbus_bridges.attachments import MOST_AT_ONCE, TRIES, Brought, Fetches, bring
from ipcbus_bridges.moving import Item
from tests.bridges.cluster import Cluster
from tests.bridges.shelf import move

CONTENT = b"x" * 600_000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Desk:
    """`Fetches`, whose uploads end when the test says so."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.told: list[tuple[int, str, bool]] = []
        self.gone: set[int] = set()
        self.fetches = Fetches(lambda sha, size: self.started.append(sha), self._told)

    def _told(self, item: Item, brought: Brought) -> None:
        self.told.append((item.seq, *brought))

    def want(self, seq: int, *hashes: str) -> None:
        attachments = [[sha, 4, f"{sha}.txt", None] for sha in hashes]
        stream = ("alice", f"bob{seq}@prod", 4)
        there = move(attachments=attachments)
        self.fetches.want(Item(seq, 1, stream, "r", there, b"", 1, True))
        self.begin()

    def ended(self, sha: str, problem: str = "", *, later: bool = False) -> None:
        self.fetches.ended(sha, Brought(problem, later))
        self.begin()

    def begin(self) -> None:
        self.fetches.begin(lambda item: item.seq not in self.gone)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_many_refer_to_is_brought_once(desk: Desk) -> None:
    for seq in range(3):
        desk.want(seq, "a")
    assert desk.started == ["a"]
    desk.ended("a")
    assert desk.told == [(0, "", False), (1, "", False), (2, "", False)]
    assert desk.started == ["a"]


def test_a_message_waits_for_each_of_its_attachments(desk: Desk) -> None:
    desk.want(1, "a", "b")
    desk.want(2, "b")
    assert desk.started == ["a", "b"]
    desk.ended("b")
    assert desk.told == [(2, "", False)]
    desk.ended("a")
    assert desk.started == ["a", "b", "b"]  # the other side knows that it has it
    desk.ended("b")
    assert desk.told[1:] == [(1, "", False)]


def test_few_are_under_way_at_once_and_the_rest_follow_in_order(desk: Desk) -> None:
    hashes = [f"h{number}" for number in range(10)]
    for seq, sha in enumerate(hashes):
        desk.want(seq, sha)
    assert desk.started == hashes[:MOST_AT_ONCE]
    desk.ended("h2")
    assert desk.started == hashes[: MOST_AT_ONCE + 1]


def test_what_failed_fails_for_all_who_waited_and_names_their_file(desk: Desk) -> None:
    desk.want(1, "a")
    desk.want(2, "a")
    desk.ended("a", "no room", later=True)
    said = "attachment a.txt did not come over: no room"
    assert desk.told == [(1, said, True), (2, said, True)]
    desk.want(3, "a")
    assert desk.started == ["a", "a"]


def test_what_nobody_waits_for_any_more_is_not_brought(desk: Desk) -> None:
    for seq in range(10):
        desk.want(seq, f"h{seq}")
    desk.gone = set(range(10))
    desk.ended("h0")
    assert len(desk.started) == MOST_AT_ONCE
    desk.gone = set()
    desk.begin()
    assert len(desk.started) == MOST_AT_ONCE


# --- one upload ----------------------------------------------------------------------


class Far:
    """An end that answers as told: an error for each time, and then as a broker."""

    def __init__(self, *faults: errors.IpcbusError) -> None:
        self.faults = [*faults]
        self.begun = 0
        self.came = b""

    def ask(self, name: str, *args: Any, body: bytes = b"") -> Any:
        if name == "blob_read":
            return [len(CONTENT)], CONTENT[args[1] : args[1] + 256 * 1024]
        if name == "blob_begin":
            self.begun, self.came = self.begun + 1, b""
        if name == "blob_write":
            if self.faults:
                raise self.faults.pop(0)
            self.came += body
        return [len(self.came)], b""


def _brought(*faults: errors.IpcbusError) -> tuple[Brought, Far]:
    far = Far(*faults)
    return bring(far, far, SHA, len(CONTENT)), far  # type: ignore[arg-type]


def test_an_upload_that_another_upset_is_begun_again() -> None:
    upset = errors.InvalidMessage(field="offset", reason="must be 0")
    brought, far = _brought(upset, upset)
    assert (brought, far.came, far.begun) == (Brought(), CONTENT, 3)
    brought, far = _brought(*[upset] * TRIES)
    assert (brought.later, far.begun) == (False, TRIES)


@pytest.mark.parametrize(
    ("fault", "later"),
    [
        (errors.Disconnected(network="dev", reason="cut"), True),
        (errors.TimedOut(what="the answer", seconds=30.0), True),
        (errors.BoundExceeded(bound="store", value=2, limit=1), True),
        (errors.BoundExceeded(bound="uploads", value=17, limit=16), True),
        (errors.StoreFull(network="prod"), True),
        (errors.BoundExceeded(bound="attachment", value=2, limit=1), False),
        (errors.NotPermitted(reason="no"), False),
        (errors.InvalidMessage(field="attachment", reason="no"), False),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_later_and_what_will_not_is_refused(
    fault: errors.IpcbusError, later: bool
) -> None:
    assert _brought(fault)[0] == Brought(str(fault), later)


# --- in a link -----------------------------------------------------------------------


def _upload(town: Cluster, content: bytes) -> str:
    sha = hashlib.sha256(content).hexdigest()
    dev = town.nets["dev"]
    dev.call(b"alice", "blob_begin", sha, len(content))
    dev.call(b"alice", "blob_write", sha, 0, body=content)
    dev.call(b"alice", "blob_seal", sha)
    return sha


def test_mail_whose_file_finds_no_room_waits_and_keeps_its_order(
    town: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, _ = town.bridge("dev", "prod")
    sha = _upload(town, b"data")
    store = town.nets["prod"].store
    monkeypatch.setattr(store, "room", lambda: 0)
    town.send("alice@dev", "bob@prod", attachments=[[sha, 4, "a.txt", None]])
    town.send("alice@dev", "bob@prod")
    town.run()
    assert there.state == "blocked"
    assert "a.txt did not come over: store" in there.link.why
    assert town.read("bob@prod") == []
    monkeypatch.undo()
    town.advance(60)
    town.run()
    assert [m.header.id for m in town.read("bob@prod")] == ["m1@dev", "m2@dev"]
    assert there.state == "running"
    assert town.read("alice@dev") == []
