"""The short way of plain messages gives what the long one gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.client import compose as composing
from ipcbus.client.compose import compose, make, plain
from ipcbus.client.message import Outgoing
from ipcbus.client.outbox import Sending
from ipcbus.errors import InvalidMessage, IpcbusError
from ipcbus.protocol.address import parse
from tests.client.test_compose import OUTGOING

ADDRESSES: st.SearchStrategy[Any] = st.sampled_from(
    ["bob", "bob@prod", "#news.today", "*", parse("bob@prod")]
) | st.sampled_from(["", "a b", "#", "@dev", "x" * 33, 5, None, ["bob"]])
BODIES: st.SearchStrategy[Any] = (
    st.text()
    | st.binary()
    | st.binary().map(bytearray)
    | st.binary().map(lambda raw: memoryview(raw))
    | st.sampled_from(["\ud800", 5, None, [], "x" * (1 << 20), b"x" * (1 << 20)])
    | st.just("x" * ((1 << 20) + 1))
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "data": st.sampled_from([None, 0, "", False, {}]),
        "kind": st.sampled_from(["inform", "".join(["inf", "orm"]), "request", "x", 1]),
        "priority": st.sampled_from([4, 4.0, True, False, 0, 9, None]),
        "ttl": st.sampled_from([None, 0, 60]),
        "id": st.sampled_from([None, "", "m1"]),
        "future": st.sampled_from([False, 0, None, True]),
        "attach": st.sampled_from([(), [], None]),
        "labels": st.sampled_from([(), [], None, ("a",), 0]),
        "headers": st.sampled_from([None, {}, {"a": "b"}]),
        "content_type": st.sampled_from([None, "", "text/plain"]),
        "receipt": st.sampled_from([None, "acked", ""]),
    },
)


def fresh_id() -> str:
    return "fresh-id"


def told(way: Callable[[], Sending]) -> tuple[Any, ...]:
    """All of a message under way, or its error."""
    try:
        sending = way()
    except IpcbusError as error:
        return type(error), error.facts
    return sending.id, sending.rest, sending.body, sending.head


def long_way(out: Outgoing) -> Sending:
    return Sending.of(*compose(out, fresh_id))


@given(OUTGOING)
def test_whatever_is_said(out: Outgoing) -> None:
    assert told(lambda: make(out, fresh_id)) == told(lambda: long_way(out))


@given(ADDRESSES, BODIES)
def test_an_address_and_a_body(to: Any, body: Any) -> None:
    expected = told(lambda: long_way(Outgoing(to, body)))
    assert told(lambda: plain(to, body, fresh_id)) == expected
    assert told(lambda: plain(to, body, fresh_id)) == expected  # now it is known


@given(BODIES, OPTIONS)
def test_what_looks_plain_and_is_not(body: Any, options: dict[str, Any]) -> None:
    out = Outgoing("bob", body, **options)
    assert told(lambda: make(out, fresh_id)) == told(lambda: long_way(out))


class Odd:
    """Equal to everything, and no truth in it: arrays are like that."""

    def __eq__(self, other: object) -> Any:
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


def test_data_that_cannot_be_compared_is_told_as_any_other() -> None:
    with pytest.raises(InvalidMessage):
        make(Outgoing("bob", data=Odd()), fresh_id)


def test_few_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "MOST_ADDRESSES", 10)
    for number in range(100):
        assert plain(f"agent{number}", "", fresh_id).rest[0] == f"agent{number}"
        assert len(composing._templates[str]) <= 10
