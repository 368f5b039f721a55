"""Several networks at once, none at all, and a model that says who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.doors.tools import TOOLS
from tests.doors.mcp.model import HANDSHAKE, MODERN, Model, by_stdio, model_at
from tests.waiting import until


def mail(model: Model, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found.extend(model.call("wait", timeout_s=5)["messages"])
        return len(found) >= count

    until(is_there)
    return found


def test_networks_that_are_not_there_yet_are_made_and_all_are_read(home: Path) -> None:
    with model_at(by_stdio("--network", "dev,staging", "--as", "ann"), MODERN) as ann:
        assert ann.call("profile")["networks"] == ["dev", "staging"]
        with (
            ipcbus.connect("dev", agent="bob") as bob,
            ipcbus.connect("staging", agent="eve") as eve,
        ):
            bob.send("ann", "from dev")
            eve.send("ann", "from staging")
            found = mail(ann, 2)
            ann.call("send", to="eve@staging", text="hello")
            (hello,) = eve.receive(timeout=5)
            hello.ack().result(5)
        seen = ann.look("ipcbus://status")["networks"]

    assert {(one["network"], one["text"]) for one in found} == {
        ("dev", "from dev"),
        ("staging", "from staging"),
    }
    assert hello.sender == "ann"
    assert [one["network"] for one in seen] == ["dev", "staging"]
    assert sorted(network.name for network in networks.networks()) == ["dev", "staging"]


def test_a_model_without_a_name_registers_by_itself(home: Path) -> None:
    with model_at(by_stdio("--network", "dev"), HANDSHAKE) as model:
        unknown = model.call("inbox")["error"]
        assert model.call("profile", name="ann")["agent"] == "ann"
        model.call("send", to="ann", text="to myself")
        (shown,) = model.call("inbox")["messages"]

    assert "profile with your name" in unknown["message"]
    assert shown["text"] == "to myself"


def test_without_any_broker_the_tools_are_listed_and_a_call_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can have a home below a file."""
    nowhere = tmp_path / "file"
    nowhere.touch()
    monkeypatch.setenv("IPCBUS_HOME", str(nowhere / "home"))
    with model_at(by_stdio("--network", "dev", "--as", "ann"), MODERN) as ann:
        assert len(ann.tools().tools) == len(TOOLS)
        assert ann.call("send", to="bob", text="x")["error"]["code"] == "unsafe_folder"
        assert ann.call("status")["error"]["code"] == "unsafe_folder"
