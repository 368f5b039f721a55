"""All that a model does, over each wire and in each era."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from ipcbus import Client, Message
from ipcbus.doors.tools import INSTRUCTIONS, TOOLS, formatted
from tests.doors.mcp.conftest import Peer
from tests.doors.mcp.model import (
    HANDSHAKE,
    MODERN,
    Model,
    Served,
    answer_in,
    by_stdio,
    model_at,
    served_by_http,
)
from tests.waiting import until

INBOX, AGENTS, STATUS = "ipcbus://inbox", "ipcbus://agents", "ipcbus://status"


@pytest.fixture(scope="module")
def served(bus: Path) -> Iterator[Served]:
    with served_by_http("--network", "dev", "--as", "model") as served:
        yield served


@pytest.fixture(
    scope="module",
    params=[(wire, era) for wire in ("stdio", "http") for era in (MODERN, HANDSHAKE)],
    ids=" ".join,
)
def model(request: pytest.FixtureRequest, bus: Path) -> Iterator[Model]:
    """The same agent, one after the other."""
    wire, era = request.param
    if wire == "stdio":
        transport = by_stdio("--network", "dev", "--as", "model")
    else:
        transport = request.getfixturevalue("served").reached()
    with model_at(transport, era) as model:
        yield model


@pytest.fixture(autouse=True)
def _no_mail_is_left(model: Model, at_home: None) -> Iterator[None]:
    yield
    while model.call("inbox")["messages"]:
        pass


# --- tools -------------------------------------------------------------------


def test_the_tools_are_those_of_the_registry_to_the_letter(model: Model) -> None:
    listed = model.tools().model_dump(by_alias=True, exclude_none=True)["tools"]
    told = [tool.pop("annotations") for tool in listed]

    assert listed == formatted(TOOLS, "mcp")
    assert model.client.instructions == INSTRUCTIONS
    assert len(told) == len(TOOLS)


def test_no_tool_is_taken_for_one_that_destroys_or_leaves_this_world(
    model: Model,
) -> None:
    """Codex refuses a call of such a tool, or of one that does not say."""
    for tool in model.tools().tools:
        hints = tool.annotations
        assert hints is not None
        assert (hints.destructive_hint, hints.open_world_hint) == (False, False)
        assert bool(hints.read_only_hint) == (tool.name in ("agents", "status"))


def test_every_tool_does_its_work(model: Model, peer: Peer) -> None:
    bob = peer("bob")

    assert model.call("profile", join=["builds"])["topics"] == ["#builds"]
    assert model.call("profile", leave=["builds"])["topics"] == []
    assert "bob" in [each["name"] for each in model.call("agents")["agents"]]
    assert model.call("status")["network"] == "dev"

    assert model.call("send", to="bob", text="hello")["state"] == "accepted"
    (hello,) = bob.receive(timeout=5)
    assert (hello.sender, hello.body) == ("model", "hello")

    hello.reply("and to you")
    (shown,) = model.call("wait", timeout_s=5)["messages"]
    assert (shown["from"], shown["text"]) == ("bob", "and to you")
    hello.ack().result(5)

    asked = model.begin("ask", to="bob", text="ready?", timeout_s=10)
    (question,) = bob.receive(timeout=5)
    question.reply("yes")
    question.ack().result(5)
    assert answer_in(asked.result(10))["answer"]["text"] == "yes"
    assert model.call("inbox") == {"messages": []}


def test_a_mistake_is_an_answer_that_says_what_to_do(model: Model) -> None:
    unknown = model.call("send", to="nobody", text="x")["error"]
    misnamed = model.call("send", to="bob", txt="x")["error"]
    missing = model.call("sned")["error"]

    assert unknown["code"] == "unknown_recipient"
    assert "did you mean text?" in misnamed["message"]
    assert "there are send, inbox" in missing["message"]


def test_letters_are_not_escaped_but_what_deceives_is(model: Model, peer: Peer) -> None:
    peer("bob").send("model", "grün \u202e \x1b[31m </message> ✓")

    (shown,) = model.call("wait", timeout_s=5)["messages"]

    assert shown["text"] == "grün \\u202e \\x1b[31m </message> ✓"


# --- many calls at once ------------------------------------------------------


def test_a_call_that_waits_holds_up_no_other(model: Model, peer: Peer) -> None:
    waiting = model.begin("wait", timeout_s=40)
    for _ in range(20):
        assert model.call("status")["waiting"] == 0
    assert not waiting.done()
    assert model.call("send", to="model", text="to myself")["state"] == "accepted"

    (shown,) = answer_in(waiting.result(10))["messages"]
    assert shown["text"] == "to myself"


def test_many_calls_at_once_are_all_answered(model: Model, peer: Peer) -> None:
    bob = peer("bob")
    calls = [model.begin("send", to="bob", text=str(n)) for n in range(60)]

    assert {answer_in(call.result(20))["state"] for call in calls} == {"accepted"}
    bodies = {str(message.body) for message in _take(bob, 60)}
    assert bodies == {str(n) for n in range(60)}


def _take(client: Client, count: int) -> list[Message]:
    found: list[Message] = []
    while len(found) < count:
        some = client.receive(count, timeout=10)
        assert some
        for message in some:
            message.ack()
        found += some
    client.flush()
    return found


def test_what_was_shown_is_acked_by_the_next_call(model: Model, peer: Peer) -> None:
    bob = peer("bob")
    id_ = bob.send("model", "once").id

    model.call("wait", timeout_s=5)
    assert bob.show(id_).state == "waiting"
    model.call("status")
    until(lambda: bob.show(id_).state == "done")


def test_what_a_cancelled_call_still_gets_is_given_back_unseen(
    model: Model, peer: Peer
) -> None:
    bob = peer("bob")
    waiting = model.begin("wait", timeout_s=50)
    until(lambda: bool(model.call("status")))
    waiting.cancel()
    with pytest.raises(CancelledError):
        waiting.result(5)
    model.call("status")
    bob.send("model", "not lost")

    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found.extend(model.call("inbox")["messages"])
        return bool(found)

    until(is_there)
    assert found[0]["text"] == "not lost"
    assert "seen_before" not in found[0]


# --- resources ---------------------------------------------------------------


def test_resources_are_listed_and_read(model: Model, peer: Peer) -> None:
    peer("bob")

    assert model.resources() == [INBOX, AGENTS, STATUS]
    assert "bob" in [each["name"] for each in model.look(AGENTS)["agents"]]
    assert model.look(STATUS)["agent"] == "model"
    assert model.read(STATUS).ttl_ms == 0


def test_looking_at_the_inbox_takes_nothing(model: Model, peer: Peer) -> None:
    bob = peer("bob")
    first = bob.send("model", "still there").id

    for _ in range(2):
        assert [one["text"] for one in model.look(INBOX)["messages"]] == ["still there"]
    (shown,) = model.call("inbox")["messages"]
    assert "seen_before" not in shown
    model.look(INBOX)
    assert bob.show(first).state == "waiting"


def test_an_unknown_resource_is_refused_with_those_that_are_there(model: Model) -> None:
    with pytest.raises(MCPError, match="there are ipcbus://inbox"):
        model.read("ipcbus://outbox")


def test_who_subscribed_is_told_of_changes_of_just_that(
    model: Model, peer: Peer
) -> None:
    """An ack is no news: receipts would wake whoever they are for."""
    bob = peer("bob")
    asked = model.call("send", to="bob", text="?")["id"]
    with model.subscribed(INBOX, STATUS):
        bob.send("model", kind="ack", reply_to=asked)
        until(lambda: STATUS in model.updated)
        assert set(model.updated) == {STATUS}
        bob.send("model", "news")
        until(lambda: INBOX in model.updated)
        assert AGENTS not in model.updated
    for message in bob.receive(timeout=5):
        message.ack().result(5)


def test_who_subscribed_is_told_of_agents_that_come(
    model: Model, peer: Peer, request: pytest.FixtureRequest
) -> None:
    with model.subscribed(AGENTS):
        peer(f"new-{abs(hash(request.node.name)) % 10**9}")
        until(lambda: AGENTS in model.updated)
        assert set(model.updated) == {AGENTS}
