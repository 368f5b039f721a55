"""`agents`, `profile` and `status`; who sits at a desk."""

from __future__ import annotations

import re
from itertools import count

import ipcbus
from ipcbus import networks
from ipcbus.doors.tools import Desk, call
from ipcbus.transport import launch
from tests.doors.tools.conftest import Sit, registered, sent, texts


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


def test_a_new_name_is_kept_and_its_topics_are_found_by_it(bob: Desk) -> None:
    call(bob, "profile", {"rename": "robert"})

    found = call(bob, "profile", {"join": ["builds.*"]})

    assert (found["agent"], found["topics"]) == ("robert", ["#builds.*"])
    again = call(bob, "profile", {"rename": "robert"})
    assert again["agent"] == "robert"
    assert "was" not in again


def test_who_cannot_have_a_name_in_all_networks_keeps_its_own(sit: Sit) -> None:
    launch.start(networks.create("prod"))
    registered(sit("zoe", "prod"))
    wide = registered(sit("eve", "dev", "prod"))

    assert call(wide, "profile", {"rename": "zoe"})["error"]["code"] == "name_taken"
    assert call(wide, "profile", {"rename": "evelyn"})["agent"] == "evelyn"
    names = [each["name"] for each in call(wide, "agents", {})["agents"]]
    assert names.count("evelyn") == 2


def test_who_was_refused_a_name_in_one_network_may_take_another(sit: Sit) -> None:
    launch.start(networks.create("prod"))
    call(registered(sit("zoe", "prod")), "profile", {"rename": "zoe-2"})
    wide = sit(None, "dev", "prod")

    assert call(wide, "profile", {"name": "zoe"})["error"]["code"] == "name_taken"
    assert call(wide, "profile", {"name": "eve"})["agent"] == "eve"
    assert call(wide, "inbox", {}) == {"messages": []}


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


def test_status_says_what_is_paused_and_who_was_stopped(alice: Desk, bob: Desk) -> None:
    words = map(str, count())

    def turn(one: Desk, other: str) -> bool:
        return "error" not in call(one, "send", {"to": other, "text": next(words)})

    assert call(bob, "status", {}).keys().isdisjoint({"paused", "stopped"})
    while turn(alice, "bob") and turn(bob, "alice"):
        pass
    with ipcbus.connect("dev", agent="") as operator:
        operator.call("pause", None)

    found = call(bob, "status", {})

    assert found["paused"] == "a person has stopped deliveries"
    [stopped] = found["stopped"]
    assert re.fullmatch(r"alice, bob: \d+ s more", stopped)


def test_another_network_is_an_error_that_names_ones_own(alice: Desk) -> None:
    error = call(alice, "status", {"network": "prod"})["error"]

    assert error["message"] == "you are not in network 'prod', but in dev"
