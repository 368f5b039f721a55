"""Peers' text stays within its frame, and says no more than it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.client.words import Record
from ipcbus.doors.text import safe
from ipcbus.doors.tools import Desk, call
from ipcbus.doors.tools.pages import compact, piece
from ipcbus.doors.view import View
from ipcbus.protocol.messages import Header, Meta
from tests.doors.injections import INJECTIONS, hidden_in
from tests.doors.tools.conftest import sent


def header(**facts: Any) -> Header:
    usual: dict[str, Any] = {
        "id": "m-1",
        "sender": "mallory",
        "to": "bob",
        "kind": "inform",
        "priority": 4,
        "accepted_at": 1_700_000_000_000,
        "trust": "local",
    }
    blank = dict.fromkeys(Header._fields)
    return Header(**{**blank, "flags": 0, **usual, **facts})


def view(body: str | bytes, data: Any = None, **facts: Any) -> View:
    meta = Meta(None, None, data, None)
    return View(header(**facts), meta, body, len(body), "dev", 5.0, 1, {})


@pytest.mark.security
@pytest.mark.parametrize("text", INJECTIONS)
def test_a_text_cannot_leave_its_frame_or_forge_another(
    text: str, alice: Desk, bob: Desk
) -> None:
    sent(alice, "bob", text)

    line = json.dumps(call(bob, "inbox", {}))
    [message] = json.loads(line)["messages"]

    assert (message["from"], message["trust"]) == ("alice", "local")
    assert message.keys() == {"id", "from", "trust", "age", "text"}
    assert "\n" not in line
    assert hidden_in(message["text"]) == set()


@pytest.mark.security
@given(text=st.text(), data=st.recursive(st.text() | st.none(), st.lists))
def test_no_letter_that_deceives_reaches_a_model(text: str, data: Any) -> None:
    facts = {"attachments": [["ab" * 32, 5, text, None]]}

    found = compact(view(text, data, **facts), "bob", wide=True)

    assert found["from"] == "mallory"
    for shown in (found["text"], *found["attachments"]):
        assert hidden_in(shown) == set()
    assert all(hidden_in(each) == set() for each in texts_in(found.get("data")))


def texts_in(data: Any) -> list[str]:
    if isinstance(data, list):
        return [text for one in data for text in texts_in(one)]
    return [data] if isinstance(data, str) else []


def test_a_foreign_sender_is_named_in_full_with_its_trust() -> None:
    facts = {"sender": "alice@dev", "trust": "foreign", "hops": ["dev/ab", "qa/cd"]}

    found = compact(view("hi", **facts), "bob", wide=False)

    assert (found["from"], found["trust"], found["hops"]) == ("alice@dev", "foreign", 2)


def test_bytes_are_named_and_not_shown() -> None:
    assert compact(view(b"\xff" * 2048), "bob", wide=False)["text"] == (
        "(2.0 KiB of unknown type)"
    )


def test_long_data_is_only_named() -> None:
    found = compact(view("x", ["y" * 2000]), "bob", wide=False)

    assert found["data"] == "(long)"


@given(text=st.text(), size=st.integers(4, 40))
def test_a_long_text_is_put_together_again_from_its_pieces(
    text: str, size: int
) -> None:
    body, offset, found = text.encode(errors="replace"), 0, ""
    following: int | None = 0
    while following is not None:
        offset = following
        left = len(body) - offset
        record = Record(1, "done", left, header(), body[offset : offset + size])
        shown, following = piece(record, offset)
        found += shown
    assert found == safe(body.decode())


def test_bytes_that_are_no_text_end_all_the_same() -> None:
    body, found = b"\xff\xfe" * 50, ""
    following: int | None = 0
    while following is not None:
        left = len(body) - following
        record = Record(1, "done", left, header(), body[following : following + 7])
        shown, following = piece(record, following)
        found += shown
    assert set(found) == {"\ufffd"}
