"""What does not cross at all: its sender hears of it, and its owner can see it."""

from __future__ import annotations

import pytest

from ipcbus.broker.ends import ROOM_MS, Ends
from ipcbus.protocol.pieces import unpack_meta
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, rules_of, texts
from tests.bridges.conftest import Make
from tests.bridges.telling import flow, told
from tests.broker.harness import OPERATOR, draft

DAY_S = 24 * 3600


# --- it does not come at all ---------------------------------------------------------


def test_an_unknown_recipient_bounces_with_its_code(both: Cluster) -> None:
    both.bridge("dev", "prod")
    flow(both, "nobody@prod", "1")
    flow(both, "bob@prod", "2")
    both.run()
    (bounce,) = both.read("alice@dev")
    assert (bounce.header.sender, bounce.header.reply_to) == ("ipcbus", "m1")
    assert unpack_meta(bounce.header.meta).data == {
        "status": "5.1.1",
        "code": "no_such_agent",
        "reason": "nobody is called nobody in prod",
        "to": "nobody@prod",
        "id": "m1",
        "hint": "look for the name: ipcbus agents",
    }
    assert texts(both.read("bob@prod")) == ["2"]


def test_without_room_for_its_bounce_it_waits_and_is_refused_again(
    both: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.bridge("dev", "prod")
    with monkeypatch.context() as full:
        full.setattr(Ends, "can_tell", lambda _: False)
        flow(both, "nobody@prod", "1")
        flow(both, "bob@prod", "2")
        for _ in range(3):
            both.advance(ROOM_MS / 1000)
            both.run()
        assert both.read("alice@dev") == []
        assert texts(both.read("bob@prod")) == ["2"]
    both.advance(ROOM_MS / 1000)
    both.run()
    assert told(both.read("alice@dev")) == [("bounce", "5.1.1")]


def test_what_no_rule_carries_bounces_and_names_no_rule(town: Cluster) -> None:
    town.bridge("dev", "prod", "alice -> bob", "!* -> ben")
    flow(town, "ben@prod", "1")
    flow(town, "bob@prod", "2", sender="amy@dev")
    town.run()
    for sender in ("alice@dev", "amy@dev"):
        assert told(town.read(sender)) == [("bounce", "5.7.1")]
    assert town.read("ben@prod") == town.read("bob@prod") == []


def test_what_waits_is_judged_by_the_rules_when_it_leaves(town: Cluster) -> None:
    there, _ = town.bridge("dev", "prod")
    there.cut(there.destination)
    flow(town, "bob@prod", "1")
    flow(town, "ben@prod", "2")
    town.run()
    there.reload(rules_of("dev", "prod", "alice -> bob"))
    there.heal()
    town.run()
    assert texts(town.read("bob@prod")) == ["1"]
    assert town.read("ben@prod") == []
    assert told(town.read("alice@dev")) == [("bounce", "5.7.1")]


def test_what_waits_in_the_link_is_judged_again_when_rules_change(
    town: Cluster,
) -> None:
    there, _ = town.bridge("dev", "prod")
    there.destination.held_up = True
    for body in "12":
        flow(town, "bob@prod", body)
        town.run()
    there.reload(rules_of("dev", "prod", "nobody -> nobody"))
    there.destination.held_up = False
    town.run()
    assert texts(town.read("bob@prod")) == ["1"]
    assert told(town.read("alice@dev")) == [("bounce", "5.7.1")]


def test_the_owner_may_narrow_what_goes_out_and_its_sender_hears_at_once(
    both: Cluster,
) -> None:
    both.bridge("dev", "prod")
    dev = both.nets["dev"]
    dev.call(OPERATOR, "grant", "prod", "out", "allow alice -> bob\ndeny * -> ben")
    both.restart("dev")
    both.run()
    assert both.send("alice@dev", "bob@prod") == "accepted"
    assert both.send("alice@dev", "ben@prod") == "not_permitted"
    assert both.send("amy@dev", "bob@prod") == "not_permitted"
    both.nets["dev"].call(OPERATOR, "grant", "prod", "out", "")
    assert both.send("amy@dev", "bob@prod") == "accepted"


def test_the_owner_may_narrow_what_comes_in_and_its_sender_gets_a_bounce(
    both: Cluster,
) -> None:
    both.bridge("dev", "prod", "* -> *", "* -> #**")
    prod = both.nets["prod"]
    rules = "allow alice -> bob\nallow * -> #ok.*"
    prod.call(OPERATOR, "grant", "dev", "in", rules)
    prod.call(b"bob", "join", "**")
    both.restart("prod")
    both.run()
    flow(both, "bob@prod", "1")
    flow(both, "ben@prod", "2")
    flow(both, "#ok.1", "3")
    flow(both, "#bad", "4")
    both.run()
    assert sorted(texts(both.read("bob@prod"))) == ["1", "3"]
    assert told(both.read("alice@dev")) == [("bounce", "5.7.1")] * 2
    (reason,) = {
        row[-1]
        for row in both.nets["prod"].call(OPERATOR, "audit", 0, 99)[0]
        if row[9] == "refused"
    }
    assert reason == "the owner of prod lets no such mail in"


def test_answers_pass_the_grant_of_the_owner(town: Cluster) -> None:
    town.bridge("dev", "prod", "alice -> bob")
    town.nets["dev"].call(OPERATOR, "grant", "prod", "in", "deny * -> *")
    town.nets["prod"].call(OPERATOR, "grant", "dev", "out", "deny * -> *")
    flow(town, "bob@prod", "?")
    town.run()
    assert town.send("bob@prod", "alice@dev", reply_to="m1@dev") == "accepted"
    town.run()
    assert len(town.read("alice@dev")) == 1


# --- too long, too much --------------------------------------------------------------


def test_what_no_bridge_takes_in_time_bounces(both: Cluster) -> None:
    there, _ = both.bridge("dev", "prod", terms=Terms(hold_ms=3600_000, warn_ms=10**8))
    both.kill(there)
    flow(both, "bob@prod", "1")
    both.advance(3599)
    assert both.read("alice@dev") == []
    both.restart("dev")
    both.advance(1)
    assert told(both.read("alice@dev")) == [("bounce", "4.4.7")]
    assert both.described("dev", "prod")["counters"]["expired"] == 1


def test_a_bounce_waits_longer_than_any_other_mail(town: Cluster) -> None:
    """Of what becomes of a bounce nobody is told."""
    _, back = town.bridge("dev", "prod", terms=Terms(hold_ms=60_000))
    town.send("alice@dev", "bob@prod", ttl_ms=10_000)
    town.run()
    back.cut()
    town.advance(11)
    town.advance(6 * DAY_S)
    back.heal()
    town.run()
    assert told(town.read("alice@dev")) == [("bounce", "4.4.7")]


def test_a_sender_is_told_once_that_its_mail_is_late(both: Cluster) -> None:
    there, back = both.bridge("dev", "prod", terms=Terms(warn_ms=60_000))
    there.cut()
    back.cut()
    flow(both, "bob@prod", "1", "2")
    flow(both, "ben@prod", "3")
    both.send("alice@dev", "amy@prod", kind="ack")
    for _ in range(5):
        both.advance(61)
    flow(both, "bob@prod", "4")
    both.advance(61)
    notices = both.read("alice@dev")
    assert told(notices) == [("control", "late")] * 2
    said = [unpack_meta(one.header.meta).data for one in notices]
    assert [(one["id"], one["to"]) for one in said] == [
        ("m1", "bob@prod"),
        ("m3", "ben@prod"),
    ]
    there.heal()
    both.run()
    assert texts(both.read("bob@prod")) == ["1", "2", "4"]
    both.advance(1)
    there.cut()
    flow(both, "bob@prod", "5")
    both.advance(61)
    assert told(both.read("alice@dev")) == [("control", "late")]


def test_what_comes_too_late_for_its_rule_bounces(town: Cluster) -> None:
    there, _ = town.bridge("dev", "prod", "alice -> bob hold_for=1m", "alice -> ben")
    there.cut()
    flow(town, "bob@prod", "1")
    flow(town, "ben@prod", "2")
    town.advance(61)
    there.heal()
    town.run()
    assert town.read("bob@prod") == []
    assert texts(town.read("ben@prod")) == ["2"]
    assert told(town.read("alice@dev")) == [("bounce", "4.4.7")]


@pytest.mark.parametrize("bound", [Terms(messages=2), Terms(bytes=700)])
def test_when_no_more_may_wait_its_sender_is_told_at_once(
    both: Cluster, bound: Terms
) -> None:
    there, back = both.bridge("dev", "prod", terms=bound)
    both.kill(there)
    flow(both, "bob@prod", "x" * 200, "x" * 200)
    assert both.send("alice@dev", "bob@prod", body="x" * 200) == "bound_exceeded"
    both.restart("dev")
    assert both.send("alice@dev", "bob@prod", body="x" * 200) == "bound_exceeded"
    both.link("dev", "prod", back.rules)
    both.run()
    flow(both, "bob@prod", "x")
    both.run()
    assert len(both.read("bob@prod")) == 3


def test_the_oldest_of_a_topic_makes_room_where_its_rule_says_so(both: Cluster) -> None:
    """And no other does, neither of another topic nor to an agent."""
    there, _ = both.bridge(
        *("dev", "prod", "* -> #chat overflow=drop_oldest", "* -> #log", "* -> *"),
        terms=Terms(messages=4),
    )
    both.nets["prod"].call(b"bob", "join", "**")
    there.cut()
    flow(both, "#log", "1")
    flow(both, "bob@prod", "2")
    flow(both, "#chat", "3", "4", "5", "6")
    assert both.send("alice@dev", "#log") == "bound_exceeded"
    assert both.send("alice@dev", "bob@prod") == "bound_exceeded"
    there.heal()
    both.run()
    assert sorted(texts(both.read("bob@prod"))) == ["1", "2", "5", "6"]
    assert both.described("dev", "prod")["counters"]["filtered"] == 2
    assert both.read("alice@dev") == []


def test_of_a_topic_nothing_goes_for_what_would_not_fit_even_so(both: Cluster) -> None:
    there, _ = both.bridge(
        "dev", "prod", "* -> #chat overflow=drop_oldest", terms=Terms(bytes=700)
    )
    there.cut()
    flow(both, "#chat", "x" * 100, "x" * 100, "x" * 100)
    before = both.described("dev", "prod")["counters"]
    assert before["offered"] == 3
    assert both.send("alice@dev", "#chat", body="x" * 700) == "bound_exceeded"
    assert both.described("dev", "prod")["counters"] == before


def test_parked_mail_can_be_seen_and_sent_again_or_dropped(both: Cluster) -> None:
    both.bridge("dev", "prod")
    flow(both, "late@prod", "1")
    flow(both, "never@prod", "2")
    both.run()
    dev = both.nets["dev"]
    letters, more = dev.call(OPERATOR, "dead", 10, 0)
    assert more is False
    assert [(row[0], row[1], row[6].id) for row in letters] == [
        ("@prod", "no_such_agent", "m1"),
        ("@prod", "no_such_agent", "m2"),
    ]
    assert both.described("dev", "prod")["parked"] == 2
    assert told(both.read("alice@dev")) == [("bounce", "5.1.1")] * 2
    both.people("late@prod")
    assert dev.call(OPERATOR, "replay", "m1") == [1]
    assert dev.call(OPERATOR, "drop", "m2") == [1]
    both.run()
    assert texts(both.read("late@prod")) == ["1"]
    assert both.described("dev", "prod")["parked"] == 0
    counted = both.described("dev", "prod")["counters"]
    assert (counted["offered"], counted["accepted"], counted["refused"]) == (3, 1, 2)


def test_parked_mail_that_is_sent_again_waits_as_long_as_any_other(
    both: Cluster,
) -> None:
    there, _ = both.bridge(
        "dev", "prod", terms=Terms(hold_ms=DAY_S * 1000, warn_ms=10**9)
    )
    flow(both, "nobody@prod", "1")
    both.run()
    both.advance(3 * DAY_S)
    both.read("alice@dev")
    both.kill(there)
    assert both.nets["dev"].call(OPERATOR, "replay", "m1") == [1]
    both.advance(DAY_S - 1)
    assert both.read("alice@dev") == []
    both.advance(1)
    assert told(both.read("alice@dev")) == [("bounce", "4.4.7")]


def test_refusals_that_no_single_frame_can_tell_are_told_in_several(
    make_town: Make,
) -> None:
    """An agent with a long name could once stop a link for good by mail to a thousand
    that have long names too, none of which a rule carries."""
    town = make_town()
    name = "a" * 32
    town.people(f"{name}@dev")
    there, _ = town.bridge("dev", "prod", "nobody -> nobody")
    there.cut()
    for part in range(10):
        drafts = [
            draft(f"{n:064}", f"{n:032}@prod")
            for n in range(100 * part, 100 * part + 100)
        ]
        assert town.nets["dev"].send(name.encode(), *drafts) == []
    there.heal()
    town.run()
    assert town.described("dev", "prod")["counters"]["refused"] == 1000
    assert there.state == "running"
