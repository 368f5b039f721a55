"""`agents`, `profile` and `status`; who sits at a desk."""

from __future__ import annotations

import ipcbus
from ipcbus.doors.tools import Desk, call
from tests.doors.tools.conftest import Sit, sent, texts


def test_a_model_without_a_name_is_told_to_register(sit: Sit) -> None:
    desk = sit()

    assert "Register first" in call(desk, "inbox", {})["error"]["message"]
    assert call(desk, "profile", {"name": "dora"}) == {
        "agent": "dora",
        "network": "dev",
        "topics": [],
        "waiting": 0,
    }
    assert call(desk, "inbox", {}) == {"messages": []}


def test_a_name_that_is_none_leaves_the_desk_free(sit: Sit) -> None:
    desk = sit()

    assert call(desk, "profile", {"name": "not a name"})["error"]["code"] == (
        "invalid_address"
    )
    assert call(desk, "profile", {"name": "dora"})["agent"] == "dora"


def test_a_desk_is_one_agents(alice: Desk) -> None:
    assert call(alice, "profile", {"name": "Alice"})["agent"] == "alice"

    error = call(alice, "profile", {"name": "bob"})["error"]

    assert "you are alice already" in error["message"]


def test_a_renamed_agent_goes_on_under_its_new_name(alice: Desk, bob: Desk) -> None:
    found = call(bob, "profile", {"rename": "robert"})
    sent(alice, "robert", "to the new name")
    sent(alice, "bob", "to the old one")

    assert (found["was"], found["agent"]) == ("bob", "robert")
    assert texts(call(bob, "inbox", {})) == ["to the new name", "to the old one"]


def test_agents_are_listed_and_matched(alice: Desk, bob: Desk) -> None:
    everyone = call(alice, "agents", {})
    some = call(alice, "agents", {"match": "BO"})

    assert everyone == {
        "agents": [{"name": "alice", "seen": "now"}, {"name": "bob", "seen": "now"}]
    }
    assert some == {"agents": [{"name": "bob", "seen": "now"}]}


def test_the_list_of_agents_is_bounded(alice: Desk) -> None:
    with ipcbus.connect("dev", agent="") as operator:
        for number in range(60):
            operator.call("register", f"worker-{number}", f"{number:064x}")

    found = call(alice, "agents", {})

    assert len(found["agents"]) == 50
    assert found["more"] == 11


def test_status_says_where_one_is_and_what_waits(alice: Desk, bob: Desk) -> None:
    sent(alice, "bob", "hi")

    found = call(bob, "status", {})

    assert (found["agent"], found["network"], found["waiting"]) == ("bob", "dev", 1)


def test_another_network_is_an_error_that_names_ones_own(alice: Desk) -> None:
    error = call(alice, "status", {"network": "prod"})["error"]

    assert error["message"] == "you are not in network 'prod', but in dev"
