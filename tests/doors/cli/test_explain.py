"""`bridges explain`: the way of a message that is not sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ipcbus.networks import BrokerInfo
from tests.doors.cli.conftest import Bridge, Call, Run
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker")


def explain(run: Run, *args: str, ends: tuple[str, str] = ("dev", "prod")) -> Any:
    done = run("bridges", "explain", *ends, *args, "--json")
    assert done.code in (0, 5), done
    assert done.json["passes"] is (done.code == 0)
    return done.json


def gates(found: Any, way: str) -> dict[str, bool]:
    return {each["gate"]: each["passes"] for each in found[f"gates_{way}"]}


def test_what_passes_is_told_gate_by_gate(run: Run, call: Call, bridge: Bridge) -> None:
    call("register", "bob", "--network", "prod")
    bridge()

    found = explain(run, "--from", "alice", "--to", "bob", "--bytes", "1000")

    assert (found["from"], found["to"]) == ("alice@dev", "bob@prod")
    assert (found["reason"], found["unasked"]) == ("", [])
    assert gates(found, "out") == {"grant out of dev": True, "queue to prod": True}
    assert gates(found, "in") == {
        "grant in of prod": True,
        "size": True,
        "recipient": True,
        "mailbox": True,
    }
    rules = found["rules"]
    assert (rules["origin"], rules["rule"], rules["note"]) == ("running", "default", "")
    assert "allow default: matches" in rules["steps"]
    assert found["options"]["replies_max"] == 10
    assert found["terms"]["max_hops"] == 1


def test_what_is_refused_is_told_with_the_first_reason_on_its_way(
    run: Run, call: Call, bridge: Bridge
) -> None:
    call("register", "bob", "--network", "prod")
    bridge("--allow", "alice -> *", "--deny", "* -> root")

    assert "lets" not in explain(run, "--from", "alice", "--to", "bob")["reason"]
    found = explain(run, "--from", "alice", "--to", "root")
    assert found["reason"].startswith("5.7.1")
    assert (found["rules"]["rule"], found["options"]) == ("deny-1", None)
    assert explain(run, "--from", "eve", "--to", "bob")["rules"]["rule"] == ""
    assert "recipient" in explain(run, "--from", "alice", "--to", "nobody")["reason"]

    call("grant", "prod", "dev", "--in", "--deny", "alice -> bob")
    found = explain(run, "--from", "alice", "--to", "bob")
    assert found["reason"].startswith("grant in of prod: by `deny alice -> bob`")
    call("grant", "dev", "prod", "--deny", "alice -> *")
    found = explain(run, "--from", "alice", "--to", "bob")
    assert found["reason"].startswith("grant out of dev")


def test_what_is_left_of_a_rate_is_told(run: Run, call: Call, bridge: Bridge) -> None:
    call("register", "bob", "--network", "prod")
    bridge("--allow", "alice -> bob rate=3/day")
    send = ("send", "bob@prod", "hi", "--network", "dev", "--wait", "relayed")
    call(*send, agent="alice")

    def steps() -> list[str]:
        found = explain(run, "--from", "alice", "--to", "bob")
        return list(found["rules"]["steps"])

    until(lambda: "rate: 2 of 3 are left now; what is over it waits" in steps())


def test_people_see_the_way_as_it_is_gone(run: Run, call: Call, bridge: Bridge) -> None:
    call("register", "bob", "--network", "prod")
    bridge("--allow", "alice -> bob rate=10/min")

    done = run("bridges", "explain", "dev", "prod", "--from", "alice", "--to", "bob")

    lines = done.out.splitlines()
    assert lines[0] == "alice@dev -> bob@prod  inform, 0 B, priority 4"
    order = ("gates of dev", "rules of the bridge, dev -> prod", "gates of prod")
    places = [
        next(at for at, line in enumerate(lines) if line.startswith(begin))
        for begin in order
    ]
    assert places == sorted(places)
    assert lines[-1].startswith("passes  by rule allow-1: 10 answers within 7d")
    assert "10 per 1m" in lines[-1]

    done = run("bridges", "explain", "dev", "prod", "--from", "eve", "--to", "bob")
    assert done.code == 5
    assert done.out.splitlines()[-1].startswith("refused  5.7.1")


def test_an_arrow_leads_from_the_first_network_of_the_bridge(
    run: Run, call: Call, bridge: Bridge
) -> None:
    """Whichever way is asked for: the rules were written for `bridge dev prod`."""
    call("register", "alice", "--network", "dev")
    bridge("--allow", "alice -> bob")

    back = explain(run, "--from", "bob", "--to", "alice", ends=("prod", "dev"))

    assert (back["passes"], back["rules"]["note"]) == (False, "")
    assert back["rules"]["origin"] == "running"


def test_without_a_bridge_rules_are_those_given_or_the_usual(
    run: Run, prod: BrokerInfo, tmp_path: Path
) -> None:
    ask = ("--from", "alice", "--to", "bob")
    found = explain(run, *ask)
    assert (found["passes"], found["rules"]["origin"]) == (True, "default")
    assert {each["network"] for each in found["unasked"]} == {"dev", "prod"}

    found = explain(run, *ask, "--allow", "carol -> *")
    assert (found["passes"], found["rules"]["origin"]) == (False, "given")
    file = tmp_path / "rules.yaml"
    file.write_text('rules:\n  - {id: one, allow: "alice@dev -> bob@prod"}\n')
    found = explain(run, *ask, "--rules", str(file))
    assert (found["passes"], found["rules"]["rule"]) == (True, "one")
    shown = run("bridges", "explain", "dev", "prod", *ask).out
    assert "passes, as far as could be asked" in shown


def test_all_that_rules_look_at_can_be_said(run: Run, prod: BrokerInfo) -> None:
    rule = "alice -> bob kinds=request labels=ci size=1KiB.. priority=7.."
    ask = ("--from", "alice", "--to", "bob", "--allow", rule)
    right = ("--kind", "request", "--label", "x", "--label", "ci")
    more = ("--bytes", "2000", "--priority", "9")

    assert explain(run, *ask, *right, *more)["passes"]
    for missing in (right + more[:2], right + more[2:], more):
        assert not explain(run, *ask, *missing)["passes"]


def test_topics_everyone_and_farther_networks(run: Run, prod: BrokerInfo) -> None:
    allow = ("--allow", "* -> #news.** prefix=dev", "--allow", "*@test -> * transit")

    one = explain(run, "--from", "alice", "--to", "#news.today", *allow)
    two = explain(run, "--from", "alice", "--to", "news.today", "--topic", *allow)
    assert one == two
    assert (one["passes"], one["options"]["prefix"]) == (True, "dev")

    all_ = explain(run, "--from", "alice", "--to", "*", *allow)
    assert (all_["passes"], all_["gates_in"]) == (False, [])
    far = explain(run, "--from", "carol@test", "--to", "bob", *allow)
    assert (far["passes"], far["options"]["transit"]) == (True, True)
    assert "transit: only rules with it count" in far["rules"]["steps"]


@pytest.mark.parametrize(
    ("args", "exit_code", "code"),
    [
        (("dev", "prod", "--from", "#x", "--to", "bob"), 2, "usage"),
        (("dev", "prod", "--from", "a b", "--to", "bob"), 2, "invalid_address"),
        (("dev", "prod", "--from", "alice"), 2, "usage"),
        (("dev", "prod", "--from", "a", "--to", "b", "--allow", "x"), 2, "config"),
        (("dev", "prdo", "--from", "alice", "--to", "bob"), 4, "no_network"),
        (("nowhere", "prod", "--from", "alice", "--to", "bob"), 4, "no_network"),
    ],
)
def test_mistakes_are_told(
    run: Run, prod: BrokerInfo, args: tuple[str, ...], exit_code: int, code: str
) -> None:
    done = run("bridges", "explain", *args, "--json")

    assert (done.code, done.json["error"]["code"]) == (exit_code, code)
