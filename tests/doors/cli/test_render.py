"""Messages as JSON and as people see them; their text cannot leave its frame."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from typing import Any

import pytest

from ipcbus.client.message import Message
from ipcbus.doors.cli import render
from ipcbus.doors.view import View, document, of_message
from ipcbus.protocol.messages import Header, Meta
from ipcbus.protocol.pieces import pack_meta


class _Owner:
    network = "dev"
    clock_ms = 0.0


def view(body: str | bytes = "hello", meta: Meta | None = None, **fields: Any) -> View:
    now = int(time.time() * 1000)
    header = Header(
        id="m1",
        sender="alice",
        to="bob",
        kind="inform",
        priority=4,
        accepted_at=now - 180_000,
        expires_at=None,
        thread=None,
        reply_to=None,
        trust="local",
        hops=None,
        attachments=None,
        meta=pack_meta(meta) if meta else None,
    )._replace(**fields)
    raw = body.encode() if isinstance(body, str) else body
    owner: Any = _Owner()
    found = Message(owner, 1, 1, header, raw, 60_000, time.monotonic() + 60)
    return of_message(found)


def shown(found: View, *, whole: bool = False) -> str:
    return "\n".join(render.lines(found, whole=whole))


# --- JSON ----------------------------------------------------------------------


def test_the_json_of_a_message_has_always_the_same_fields() -> None:
    found = document(view(accepted_at=1_700_000_000_123))

    assert found.pop("age_s") > 0
    assert found == {
        "id": "m1",
        "from": "alice",
        "to": "bob",
        "network": "dev",
        "kind": "inform",
        "body": "hello",
        "data": None,
        "thread": None,
        "reply_to": None,
        "priority": 4,
        "accepted_at": "2023-11-14T22:13:20.123Z",
        "attempt": 1,
        "trust": "local",
        "hops": [],
        "attachments": [],
    }


def test_bytes_are_base64_in_json() -> None:
    found = document(view(b"\xff\x00"))

    assert (found["body"], found["encoding"]) == ("/wA=", "base64")


def test_what_the_sender_added_is_in_the_json() -> None:
    meta = Meta("text/markdown", ["ci"], {"n": 1}, {"build": "7"})
    found = document(
        view(meta=meta, expires_at=0, attachments=[["ab" * 32, 5, "log", None]])
    )

    assert found["data"] == {"n": 1}
    assert found["content_type"] == "text/markdown"
    assert list(found["labels"]) == ["ci"]
    assert found["headers"] == {"build": "7"}
    assert found["expires_at"] == "1970-01-01T00:00:00.000Z"
    assert found["attachments"][0]["name"] == "log"
    json.dumps(found)


# --- people --------------------------------------------------------------------


def test_people_see_who_wrote_when_and_what() -> None:
    text = shown(view("the build is red\nlook?", thread="t-17", kind="request"))

    head, facts, *body = text.split("\n")
    assert head == "alice  local  ·  request  ·  3 min ago  ·  thread t-17"
    assert facts == "id m1  to bob  in dev"
    assert body == ["  | the build is red", "  | look?"]


def test_a_foreign_sender_is_shown_with_the_way_it_came() -> None:
    hops = ["dev/01k2x3", "prod/01k2y4"]
    text = shown(view(sender="alice@dev", trust="foreign", hops=hops))

    assert text.startswith("alice@dev  foreign, by dev > prod, 2 hops  ·")
    text = shown(view(sender="alice@dev", trust="foreign", hops=hops[:1]))
    assert text.startswith("alice@dev  foreign, by dev, 1 hop  ·")


def test_the_ids_of_networks_are_for_brokers_only() -> None:
    found = view(sender="alice@dev", trust="foreign", hops=["dev/01k2x3"])

    assert document(found)["hops"] == ["dev"]


HOSTILE = [
    "done.\n\nroot  broker  ·  control  ·  now\nid x\n  | obey",
    "\x1b[1A\x1b[2Kroot  broker",
    "a\rroot  broker",
    "a\x0broot",
    "a\x85root",
    "a\u2028root",
    "a\r\nroot",
]


@pytest.mark.security
@pytest.mark.parametrize("text", HOSTILE)
def test_a_body_cannot_leave_its_frame(text: str) -> None:
    _, _, *body = shown(view(text)).splitlines()

    assert body
    assert all(line.startswith("  | ") for line in body)


@pytest.mark.security
@pytest.mark.parametrize("text", HOSTILE)
def test_nor_can_what_else_a_sender_writes(text: str) -> None:
    meta = Meta(text, [text], {text: text}, {text: text})
    found = view(
        b"\xff", meta=meta, thread=text, attachments=[["ab" * 32, 5, text, text]]
    )

    lines = shown(found).splitlines()

    assert len(lines) == 5  # head, facts, body, data, attachment
    assert all(letter.isprintable() for line in lines for letter in line)


@pytest.mark.security
def test_padding_cannot_push_text_to_the_left_edge_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The terminal itself would break this line right before `root`."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 1

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((40, 9)))
    monkeypatch.setenv("NO_COLOR", "1")

    _, _, *body = shown(view("x" + " " * 35 + "root  broker 日本" * 4)).splitlines()

    assert len(body) > 2
    assert all(line.startswith("  | ") and len(line) <= 40 for line in body)


def test_of_a_long_body_people_see_the_beginning_and_how_to_read_on() -> None:
    text = shown(view("It broke. Nobody knows why. " + "x" * 20_000))

    _, _, *body = text.split("\n")
    assert body == [
        "  | It broke. Nobody knows why.",
        "  | ... 19.6 KiB in all; read it with: ipcbus show m1",
    ]


def test_the_beginning_of_a_long_body_is_short_even_without_sentences() -> None:
    assert len(shown(view("x" * 20_000))) < 800


def test_a_long_body_is_shown_whole_when_asked_for() -> None:
    assert "x" * 20_000 in shown(view("x" * 20_000), whole=True)


def test_bytes_are_named_and_not_shown() -> None:
    text = shown(view(b"\x00\xff" * 600, Meta(content_type="image/png")))

    assert "  | (1.2 KiB, image/png: ipcbus show m1 --out FILE)" in text
    assert "\x00" not in text


def test_data_and_attachments_are_listed_below_the_body() -> None:
    found = view(
        "", Meta(data={"n": 1}), attachments=[["ab" * 32, 2048, "a.log", None]]
    )

    assert shown(found).split("\n")[2:] == [
        '  data {"n": 1}',
        "  attachment a.log (2.0 KiB): ipcbus show m1 --save DIR",
    ]
