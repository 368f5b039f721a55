"""What the broker says to its store, and what it does not ask it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ipcbus.broker.mailbox import PAGE_MESSAGES
from ipcbus.protocol.messages import Send
from ipcbus.protocol.pieces import unpack_header
from tests.broker.harness import OPERATOR, Delivered, Harness, delivered, draft, key_of

ALICE, BOB, CAROL = b"alice", b"bob", b"carol"


@pytest.fixture(autouse=True)
def _people(bus: Harness) -> None:
    bus.join_up("alice", "bob", "carol")


def _seq(bus: Harness, id_: str) -> int:
    row = bus.store.mail.find(id_)
    assert row is not None
    return row.seq


def test_attempts_are_told_with_the_place_of_each_entry_and_no_more(
    bus: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, ...]] = []
    mail = bus.store.mail
    set_attempts = mail.set_attempts

    def listen(changes: Sequence[tuple[int, int, int, int]]) -> None:
        told.extend(changes)
        set_attempts(changes)

    monkeypatch.setattr(mail, "set_attempts", listen)
    bus.send(ALICE, draft("m1", "bob"), draft("m2", "bob"))
    first, second = (_seq(bus, id_) for id_ in ("m1", "m2"))
    ((box, rank),) = {entry[:2] for entry in mail.entries_of(first)}
    bus.fetch(BOB)
    assert told == [(1, box, rank, first), (1, box, rank, second)]


def test_an_entry_says_whether_its_message_waits_for_others_too(bus: Harness) -> None:
    bus.send(ALICE, draft("one", "bob"), draft("all", "*"))
    shared = {
        id_: [entry.shared for entry in bus.store.mail.entries_of(_seq(bus, id_))]
        for id_ in ("one", "all")
    }
    assert shared == {"one": [0], "all": [1, 1]}


def test_what_comes_while_somebody_reads_is_not_read_back(
    bus: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[int] = []
    mail = bus.store.mail
    page = mail.page

    def listen(mailbox: int, after: Any, limit: int, most_bytes: int) -> Any:
        if limit == PAGE_MESSAGES:
            pages.append(mailbox)
        return page(mailbox, after, limit, most_bytes)

    monkeypatch.setattr(mail, "page", listen)
    bus.credit(BOB, 1)
    send = Send(bus.ref(), [draft("m0", "bob")], [b"hi"])
    (held,) = delivered(bus.say(ALICE, send), BOB)
    for n in range(1, 5):
        bus.send(ALICE, draft(f"m{n}", "bob"))
    bus.settle(BOB, acks=[held.receipt])
    assert _ids(bus.credit(BOB, 9)) == ["m2", "m3", "m4"]
    assert pages == []


def _ids(mail: list[Delivered]) -> list[str]:
    return [one.header.id for one in mail]


@pytest.mark.parametrize("linked", [False, True], ids=["alone", "with a link"])
def test_only_what_leaves_the_network_bears_a_digest(
    bus: Harness, linked: bool
) -> None:
    if linked:
        bus.call(OPERATOR, "link", "prod", key_of("@prod"), "out")
        bus.send(ALICE, draft("out", "dora@prod"))
        row = bus.store.mail.find("out")
        assert row is not None
        assert unpack_header(row.header).digest is not None
    bus.send(ALICE, draft("one", "bob"), draft("all", "*"))
    assert [one.header.digest for one in bus.fetch(BOB)] == [None, None]
