"""Sends on their way: what goes into a frame."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus import Outgoing
from ipcbus.client.compose import make
from ipcbus.client.ids import Ids
from ipcbus.client.outbox import Outbox
from ipcbus.protocol.messages import Draft


def said(*messages: Outgoing | tuple[str, str | bytes]) -> list[Any]:
    """The address of each whole draft, and nothing for an id alone."""
    outbox, fresh = Outbox(), Ids().fresh
    sendings = [make(message, fresh) for message in messages]
    outbox.waiting.extend(sendings)
    send = outbox.next(1, len(sendings))
    assert send is not None
    for draft, sending in zip(send.drafts, sendings, strict=True):
        assert sending.id == (draft if isinstance(draft, str) else draft.id)
    return [draft.to if isinstance(draft, Draft) else "" for draft in send.drafts]


@pytest.mark.parametrize(
    ("messages", "drafts"),
    [
        ([("bob", "x")] * 3, ["bob", "", ""]),
        ([("bob", "x"), Outgoing("bob", "y"), ("bob", "z")], ["bob", "", ""]),
        ([("bob", "x"), ("eve", "x"), ("bob", "x")], ["bob", "eve", "bob"]),
        ([("bob", "x"), ("bob", b"x"), ("bob", b"y")], ["bob", "bob", ""]),
        ([Outgoing("bob", kind="request")] * 2, ["bob", ""]),
        ([Outgoing("bob", thread="t"), Outgoing("bob", thread="u")], ["bob", "bob"]),
        ([Outgoing("bob", data=[1]), Outgoing("bob", data=[1])], ["bob", ""]),
    ],
)
def test_what_is_alike_is_said_once(messages: list[Any], drafts: list[str]) -> None:
    assert said(*messages) == drafts
