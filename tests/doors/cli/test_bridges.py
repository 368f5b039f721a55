"""`bridges`: how links are, and what their owners may do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.networks import BrokerInfo
from tests.doors.cli.conftest import (
    Begin,
    Bridge,
    Call,
    Run,
    findings,
    state,
    until_running,
)
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker")


# --- status ------------------------------------------------------------------------


def test_no_links_is_nothing(run: Run) -> None:
    done = run("bridges", "status", "--json")

    assert (done.code, done.json) == (
        3,
        {"links": [], "doors": [], "unasked": []},
    )
    assert run("bridges", "status").out == "no links\n"


def test_a_link_without_a_bridge_says_so_and_keeps_its_mail(
    run: Run, call: Call, link: None
) -> None:
    call("send", "bob@prod", "hi", "--network", "dev", agent="alice")

    found = state(call)

    assert (found["peer"], found["state"], found["queued"]) == ("prod", "no bridge", 1)
    assert (found["since"], found["parked"], found["in_flight"]) == (None, 0, 0)
    assert found["counters"]["offered"] == 1
    assert "dev -> prod  no bridge" in run("bridges", "status").out
    [(name, status, finding)] = findings(run)
    assert (name, status) == ("dev -> prod", "bad")
    assert finding.startswith("no bridge")
    assert run("bridges", "check").code == 1


def test_a_link_whose_keys_were_taken_is_closed(
    run: Run, call: Call, link: None
) -> None:
    call("revoke", "@prod", "--network", "dev")

    assert state(call)["state"] == "closed"
    assert findings(run)[0][1] == "warn"


def test_links_that_run_are_well(run: Run, call: Call, bridge: Bridge) -> None:
    bridge()

    for network in ("dev", "prod"):
        until(lambda network=network: state(call, network)["state"] == "running")  # type: ignore[misc]
    found = state(call)
    assert found["since"].endswith("Z")
    assert found["out"]["rules"]["file"] is None
    assert call("bridges", "check")["well"]
    assert [each[1] for each in findings(run)] == ["ok", "ok"]
    only = call("bridges", "status", "prod", "dev")["links"]
    assert {link["network"] for link in only} == {"dev", "prod"}


def test_rules_that_cannot_be_read_again_show_in_the_status(
    run: Run, call: Call, bridge: Bridge, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n  - id: all\n    allow: '* <-> *'\n")
    bridge("--rules", str(file))
    file.write_text("rules:\n  - id: all\n    alow: '* <-> *'\n")

    until(lambda: "by its old rules" in state(call)["why"])

    assert (state(call)["state"], "alow" in state(call)["why"]) == ("running", True)
    assert "by its old rules" in run("bridges", "status").out


def test_the_other_half_of_one_way_is_well_and_takes_no_mail(
    run: Run, call: Call, bridge: Bridge
) -> None:
    call("register", "alice", "--network", "dev")
    bridge("--one-way")

    assert state(call, "prod")["state"] == "in only"
    until(lambda: state(call)["state"] == "running")
    assert [each[1] for each in findings(run)] == ["ok", "ok"]
    ask = ("--from", "bob", "--to", "alice", "--json")
    done = run("bridges", "explain", "prod", "dev", *ask)
    assert (done.code, done.json["gates_out"][0]["passes"]) == (5, False)
    assert run("send", "alice@dev", "x", "-n", "prod", agent="bob").code == 6


def test_a_network_that_is_down_is_told_of_and_not_started(
    run: Run, call: Call, bridge: Bridge
) -> None:
    running = bridge().running
    running.process.terminate()
    running.end()
    call("down", "--network", "prod")

    found = call("bridges", "status")

    assert [each["network"] for each in found["links"]] == ["dev"]
    assert [each["network"] for each in found["unasked"]] == ["prod"]
    assert "prod was not asked" in run("bridges", "status").out
    assert ("prod", "warn") in [each[:2] for each in findings(run)]
    states = {each["network"]: each["state"] for each in call("networks")["networks"]}
    assert states["prod"] == "down"


@pytest.mark.parametrize(
    ("args", "code"), [(("dev",), 2), (("a", "b"), 4), (("dev", "b", "c"), 2)]
)
@pytest.mark.parametrize("command", ["status", "check"])
def test_two_networks_or_none(
    run: Run, command: str, args: tuple[str, ...], code: int
) -> None:
    assert run("bridges", command, *args, "--json").code == code


# --- check -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (("--deny", "* -> *"), True),
        (("--allow", "alice -> *", "--deny", "a* -> *"), True),
        (("--allow", "alice -> *", "--deny", "bob -> *"), False),
        (("--allow", "alice -> bob"), False),
        (("--deny", "alice -> *"), False),
        (("--deny", "* -> #news.**"), False),
    ],
)
def test_a_grant_that_lets_nothing_pass_is_found(
    run: Run, call: Call, link: None, rules: tuple[str, ...], said: bool
) -> None:
    call("grant", "dev", "prod", *rules)

    found = [finding for _, _, finding in findings(run) if "lets no mail" in finding]

    assert bool(found) is said


def test_rules_that_could_not_be_read_again_are_found(
    run: Run, call: Call, bridge: Bridge, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text('rules:\n  - {id: one, allow: "alice@dev -> bob@prod"}\n')
    bridge("--rules", str(file))
    file.write_text("rules: nonsense\n")

    call("bridges", "reload", "dev", "prod")

    until(lambda: bool(state(call)["out"]["problem"]))
    bad = [each for each in findings(run) if each[1] == "bad"]
    assert {each[0] for each in bad} == {"dev -> prod", "prod -> dev"}
    assert state(call)["state"] == "running"  # by the old ones
    assert run("bridges", "check").code == 1


def test_rules_of_two_bridges_that_lead_in_a_circle_are_found(
    run: Run, call: Call, begin: Begin, bridge: Bridge
) -> None:
    call("up", "--network", "test", "--detach")
    onward = "*@* -> #news.** transit"
    bridge("--one-way", "--allow", onward)
    for ends in (("prod", "test"), ("test", "dev")):
        more = ("--one-way", "--allow", onward)
        until_running(begin("bridge", *ends, *more, "--json"), *more)

    (circle,) = [each for each in findings(run) if each[0] == "all"]

    assert circle[1] == "bad"
    assert "dev -> prod -> test -> dev" in circle[2]


# --- pause, resume, reload, trust ----------------------------------------------------


def test_a_pause_holds_mail_until_it_is_over(
    run: Run, call: Call, bridge: Bridge
) -> None:
    call("register", "bob", "--network", "prod")
    bridge()

    paused = call("bridges", "pause", "dev", "prod")
    assert [(each["network"], each["paused"]) for each in paused["links"]] == [
        ("dev", True),
        ("prod", True),
    ]
    assert state(call)["state"] == "paused"
    assert findings(run)[0][1:] == ("warn", "paused: by its owner")
    call("send", "bob@prod", "hi", "--network", "dev", agent="alice")
    call("bridges", "resume", "dev", "prod")

    (found,) = call("wait", "--timeout", "20", "-n", "prod", agent="bob")["messages"]
    assert found["body"] == "hi"


def test_one_way_is_the_way_from_a_to_b(run: Run, call: Call, bridge: Bridge) -> None:
    bridge()

    call("bridges", "pause", "prod", "dev", "--one-way")

    assert state(call, "prod")["state"] == "paused"
    until(lambda: state(call)["state"] == "running")
    said = run("bridges", "resume", "prod", "dev", "--one-way").out
    assert said == "prod -> dev goes on\n"


def test_the_way_back_is_told_of_if_it_cannot_be_steered(
    run: Run, call: Call, link: None
) -> None:
    done = call("bridges", "pause", "dev", "prod")

    assert [each["network"] for each in done["links"]] == ["dev"]
    assert [each["network"] for each in done["unasked"]] == ["prod"]
    assert "no bridge leads to dev" in done["unasked"][0]["reason"]
    assert "not asked" in run("bridges", "resume", "dev", "prod").out


def test_reloading_brings_new_rules_into_force(
    call: Call, bridge: Bridge, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text('rules:\n  - {id: one, allow: "alice@dev -> bob@prod"}\n')
    bridge("--rules", str(file))
    before = state(call)["out"]["rules"]["revision"]
    file.write_text('rules:\n  - {id: two, allow: "alice@dev -> bob@prod"}\n')

    done = call("bridges", "reload", "dev", "prod")

    assert [each["reloads"] for each in done["links"]] == [1, 1]
    until(lambda: bool(state(call)["out"]["rules"]["revision"] != before))


def test_a_network_that_is_another_one_is_trusted_only_if_its_owner_says_so(
    run: Run, call: Call, begin: Begin, bridge: Bridge
) -> None:
    running = bridge("--one-way").running
    running.process.terminate()
    running.end()
    known = state(call)["peer_id"]
    assert known

    assert call("bridges", "trust", "dev", "prod") == {
        "network": "dev",
        "peer": "prod",
        "trusted": True,
    }

    assert state(call)["peer_id"] == ""


@pytest.mark.parametrize("command", ["reload", "pause", "resume", "trust"])
def test_there_must_be_a_link_to_steer(
    run: Run, prod: BrokerInfo, command: str
) -> None:
    done = run("bridges", command, "dev", "prod", "--json")
    assert (done.code, done.json["error"]["code"]) == (6, "unknown_recipient")

    done = run("bridges", command, "nowhere", "prod", "--json")
    assert (done.code, done.json["error"]["code"]) == (4, "no_network")


# --- agents of the other network -----------------------------------------------------


def test_agents_that_a_bridge_shows_are_listed_to_whom_it_shows_them(
    run: Run, call: Call, bridge: Bridge
) -> None:
    for name in ("bob", "carol"):
        call("register", name, "--network", "prod")
    bridge("--allow", "alice -> bob expose")

    def seen_by(agent: str) -> dict[str, str]:
        found = call("agents", "--network", "dev", agent=agent)["agents"]
        return {each["name"]: each["network"] for each in found}

    until(lambda: "bob@prod" in seen_by("alice"))
    assert seen_by("alice") == {"alice": "dev", "bob@prod": "prod"}
    assert "bob@prod" not in seen_by("dave")
    said = run("agents", "--network", "dev", agent="alice").out
    assert "bob@prod  in prod, by a bridge" in said
