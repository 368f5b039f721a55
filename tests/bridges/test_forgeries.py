"""What a bridge says that is not so: nothing of it is believed, and nothing changes."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.broker.events import Hand, Say
from ipcbus.broker.settings import DAY, Settings
from ipcbus.protocol.messages import (
    Accepted,
    Call,
    Closed,
    Credit,
    Move,
    RefusedCall,
    Return,
    Send,
    Xfer,
)
from tests.bridges.cluster import Cluster
from tests.bridges.conftest import Make
from tests.bridges.wires import End
from tests.broker.harness import OPERATOR, draft, only

MOVE = Move(
    "m1",
    "bob",
    "alice@dev",
    "inform",
    4,
    None,
    None,
    None,
    None,
    None,
    None,
    b"d" * 32,
    0,
    "r0",
    10,
    3_600_000,
    1,
)

FAR = "far/0123456789abcdef"
TRANSIT = 16


@pytest.fixture
def end(town: Cluster) -> End:
    """Of the bridge in dev: from here all that prod says comes to alice."""
    _, back = town.bridge("dev", "prod")
    return back.destination


def hand_over(end: End, *moves: Move, epoch: int = 1) -> list[list[Any]]:
    """The exceptions to what a bridge hands over."""
    said = Xfer(1 << 40, epoch, list(moves), [b"hi"] * len(moves))
    assert end.peer is not None
    return only(end.net.say(end.peer, said, end.key), Accepted).exceptions


def refused(end: End, **fields: Any) -> str:
    """Why this move is refused."""
    ((at, outcome, facts),) = hand_over(end, MOVE._replace(**fields))
    assert (at, outcome) == (0, "refused")
    assert end.net.fetch(b"alice") == []
    return str(facts["status"])


def test_a_move_as_it_should_be_is_taken(town: Cluster, end: End) -> None:
    assert hand_over(end, MOVE) == []
    (mail,) = town.read("alice@dev")
    assert (mail.header.sender, mail.header.id) == ("bob@prod", "m1@prod")


@pytest.mark.parametrize(
    "sender",
    [
        "bob@far",  # of a third network
        "amy@dev",  # of this one
        "prod@dev",  # of this one, and it is called as the other network is
        "*",
        "#news",
        "bob\x1b[31m",
        "bob@dev@prod",
        "",
    ],
)
def test_a_sender_that_is_not_of_the_other_network(end: End, sender: str) -> None:
    assert refused(end, sender=sender) == "5.7.1"


@pytest.mark.parametrize("id_", ["m1@far", "m1@dev", "prod@dev"])
def test_an_id_that_is_not_of_the_other_network(end: End, id_: str) -> None:
    assert refused(end, id=id_) == "5.7.1"


def test_hops_without_a_rule_that_lets_it_go_on(end: End) -> None:
    far: dict[str, Any] = {"sender": "eve@far", "id": "m1@far", "hops": [FAR]}
    assert refused(end, **far) == "5.4.6"
    assert refused(end, **far, flags=TRANSIT) == "5.4.6"  # two hops, and one is allowed
    assert refused(end, **far, flags=8) == "5.4.6"  # no grant is known of


def test_hops_that_are_not_those_of_the_sender(end: End) -> None:
    assert refused(end, hops=[FAR], flags=TRANSIT, max_hops=8) == "5.7.1"


def test_hops_through_this_network_itself(town: Cluster, end: End) -> None:
    dev = town.nets["dev"].broker._links.network_id
    hops = [f"else/{dev}", FAR]
    far: dict[str, Any] = {"sender": "eve@else", "id": "m1@else", "hops": hops}
    assert refused(end, **far, flags=TRANSIT, max_hops=8) == "5.4.6"


def test_more_hops_than_any_rule_can_allow(end: End) -> None:
    hops = [f"n{n}/{n:016x}" for n in range(8)]
    far: dict[str, Any] = {"sender": "eve@n0", "id": "m1@n0", "hops": hops}
    assert refused(end, **far, flags=TRANSIT, max_hops=8) == "5.4.6"


def test_a_far_network_that_is_not_the_one_that_it_was(town: Cluster, end: End) -> None:
    far = MOVE._replace(
        sender="eve@far", id="m1@far", hops=[FAR], flags=TRANSIT, max_hops=8
    )
    assert hand_over(end, far) == []
    town.read("alice@dev")
    other = {**far._asdict(), "id": "m2@far", "hops": ["far/fedcba9876543210"]}
    assert refused(end, **other) == "5.7.1"


def test_what_is_refused_says_nothing_of_who_a_far_network_is(
    town: Cluster, end: End
) -> None:
    """Else one refused message could keep the true network of that name out."""
    assert refused(end, sender="eve@far", id="m1@far", hops=[FAR]) == "5.4.6"
    truth = "far/fedcba9876543210"
    far = MOVE._replace(sender="eve@far", id="m1@far", hops=[truth], flags=TRANSIT)
    assert hand_over(end, far._replace(max_hops=2)) == []


def test_a_bounce_that_answers_nothing(town: Cluster, end: End) -> None:
    town.send("alice@dev", "amy", as_="home")
    broker: dict[str, Any] = {"sender": "ipcbus", "kind": "bounce"}
    assert refused(end, **broker) == "5.7.1"
    assert refused(end, **broker, reply_to="x@dev") == "5.7.1"
    assert refused(end, **broker, reply_to="home@dev") == "5.7.1"
    assert refused(end, **broker, reply_to="x", flags=8) == "5.7.1"
    assert refused(end, kind="bounce") == "5.7.1"
    assert refused(end, sender="ipcbus", kind="ack", reply_to="home@dev") == "5.7.1"


def test_a_bounce_to_somebody_else_than_the_sender(town: Cluster, end: End) -> None:
    there, _ = town.wires
    there.destination.held_up = True
    town.send("amy@dev", "bob@prod", as_="m")
    town.run()
    bounce = MOVE._replace(sender="ipcbus", kind="bounce", reply_to="m@dev")
    assert refused(end, **bounce._asdict()) == "5.7.1"
    assert hand_over(end, bounce._replace(to="amy@dev")) == []


def test_a_broker_that_writes_what_is_no_bounce(town: Cluster, end: End) -> None:
    town.send("alice@dev", "bob@prod", as_="m")
    town.run()
    assert refused(end, sender="ipcbus", reply_to="m@dev") == "5.7.1"


def test_mail_to_everyone(end: End) -> None:
    assert refused(end, to="*") == "5.7.1"


@pytest.mark.parametrize("to", ["x y@dev", "@dev", "#", ""])
def test_an_address_that_is_none(end: End, to: str) -> None:
    assert refused(end, to=to) == "5.1.1"


def test_mail_that_would_have_to_go_on_to_a_third_network(end: End) -> None:
    assert refused(end, to="eve@far") == "5.4.6"
    assert refused(end, to="eve@far", flags=TRANSIT) == "5.1.1"
    assert refused(end, to="ben@prod", flags=TRANSIT) == "5.4.6"
    assert refused(end, to="ben", flags=TRANSIT) == "5.4.6"


@pytest.mark.parametrize("history_ms", [DAY, 0])
def test_an_answer_to_what_the_broker_wrote_itself(
    make_town: Make, history_ms: int
) -> None:
    """Nobody waits for it, also when it is forgotten what that was."""
    town = make_town(dev=Settings(history_ms=history_ms))
    end = town.bridge("dev", "prod")[1].destination
    town.send("bob@prod", "alice@dev", ttl_ms=60_000)
    town.run()
    town.advance(61)
    (bounce,) = town.read("bob@prod")
    assert bounce.header.id.startswith("ipcbus-")
    said = hand_over(end, MOVE._replace(id="why", reply_to=bounce.header.id))
    assert [row[2]["status"] for row in said] == ["5.7.1"]


def test_an_attachment_that_did_not_come(end: End) -> None:
    assert refused(end, attachments=[["0" * 64, 4, "a", None]]) == "5.6.1"


def test_the_same_id_with_other_content(both: Cluster) -> None:
    _, back = both.bridge("dev", "prod")
    end = back.destination
    assert hand_over(end, MOVE) == []
    assert [row[1] for row in hand_over(end, MOVE)] == ["duplicate"]
    other = MOVE._replace(digest=b"e" * 32)
    both.read("alice@dev")
    for _ in range(2):
        ((_, outcome, facts),) = hand_over(end, other)
        assert (outcome, facts["status"]) == ("refused", "5.7.7")
        both.nets["dev"].store.begin()
        both.nets["dev"].store.archive.maintain(both.nets["dev"].wall, 0, 1000)
        both.nets["dev"].store.commit()
    assert [row[1] for row in hand_over(end, MOVE)] == ["duplicate"]


def test_one_that_is_refused_does_not_stop_the_others(town: Cluster, end: End) -> None:
    moves = [MOVE._replace(id=f"m{n}") for n in range(4)]
    moves[1] = moves[1]._replace(sender="amy@dev")
    moves[3] = moves[3]._replace(id="m0")
    said = [(at, what) for at, what, _ in hand_over(end, *moves)]
    assert said == [(1, "refused"), (3, "duplicate")]
    ids = [mail.header.id for mail in town.read("alice@dev")]
    assert ids == ["m0@prod", "m2@prod"]


# --- who may say what ----------------------------------------------------------------


def say(end: End, message: Any) -> list[Any]:
    assert end.peer is not None
    done = end.net.say(end.peer, message, end.key)
    return [action.message for action in done if isinstance(action, Say)]


def test_an_older_epoch_is_refused_as_a_whole(town: Cluster, end: End) -> None:
    assert hand_over(end, MOVE, epoch=7) == []
    (said,) = say(end, Xfer(1, 6, [MOVE._replace(id="m2")], [b"hi"]))
    assert said.code == "link_fenced"
    town.restart("dev", told=False)
    town.run()
    (said,) = say(end, Xfer(1, 6, [MOVE._replace(id="m2")], [b"hi"]))
    assert said.code == "link_fenced"
    assert hand_over(end, MOVE._replace(id="m2"), epoch=7) == []


def test_who_does_not_lead_gets_no_mail_and_settles_none(town: Cluster) -> None:
    there, _ = town.bridge("dev", "prod")
    twin = town.link("dev", "prod", there.rules)
    there.source.held_down = True
    town.send("alice@dev", "bob@prod")
    town.run()
    assert (there.state, twin.state) == ("running", "standby")
    for message in (
        Credit(1, 100, 1 << 20, 60_000),
        Return(1, [["accepted", "r0", "", "", 0, [1, 1, 1]]]),
    ):
        (said,) = say(twin.source, message)
        assert isinstance(said, RefusedCall)
        assert said.code == "link_fenced"
    assert town.described("dev", "prod")["in_flight"] == 1


def test_who_has_not_met_the_other_network_hands_nothing_over(town: Cluster) -> None:
    wire = town.link("prod", "dev", town.bridge("dev", "prod")[0].rules)
    town.run()
    town.nets["dev"].call(OPERATOR, "steer", "prod", "trust")
    (said,) = say(wire.destination, Xfer(1, 1, [MOVE], [b"hi"]))
    assert said.code == "link_fenced"


def test_a_delivery_that_is_settled_twice_counts_once(both: Cluster) -> None:
    there, _ = both.bridge("dev", "prod")
    there.source.held_down = True
    for n in range(2):
        both.send("alice@dev", "bob@prod", as_=f"m{n}")
    both.run()
    (said,) = say(
        there.source,
        Return(
            1,
            [
                ["accepted", "r0", "", "", 0, [1, 1, 1, 1, 1, 1]],
                ["refused", "r0", "5.7.1", "no", 0, [1, 1, 1, 2, 1, 1, 2, 1, 1]],
            ],
        ),
    )
    assert said.stale == [1]
    counted = both.described("dev", "prod")["counters"]
    assert (counted["accepted"], counted["refused"]) == (1, 1)


def test_a_delivery_that_came_twice_counts_by_its_good_receipt(both: Cluster) -> None:
    there, _ = both.bridge("dev", "prod")
    there.source.held_down = True
    both.send("alice@dev", "bob@prod", as_="m1")
    both.advance(61)
    (said,) = say(
        there.source, Return(1, [["accepted", "r0", "", "", 0, [1, 1, 1, 1, 1, 2]]])
    )
    assert said.stale == [1]
    assert both.described("dev", "prod")["counters"]["accepted"] == 1
    rows = both.nets["dev"].call(OPERATOR, "audit", 0, 10)[0]
    assert [row[9] for row in rows] == ["accepted"]


def test_an_agent_is_no_bridge_and_a_bridge_no_agent(town: Cluster, end: End) -> None:
    dev = town.nets["dev"]
    for message in (Xfer(1, 1, [MOVE], [b"hi"]), Return(1, [])):
        dev.hello(b"amy")
        (said,) = (a.message for a in dev.say(b"amy", message) if isinstance(a, Say))
        assert isinstance(said, Closed)
    assert dev.refused(b"alice", "meet", "0" * 16).code == "not_permitted"
    for call in ("status", "links", "agents", "whoami"):
        args = [0] if call == "agents" else []
        (said,) = say(end, Call(1, call, args, b""))
        assert said.code == "not_permitted", call
    (said,) = say(end, Send(1, [draft("m", "alice")], [b"hi"]))
    assert isinstance(said, Closed)


def test_a_revoked_key_ends_the_bridge_and_what_waits_stays(town: Cluster) -> None:
    there, _ = town.bridge("dev", "prod")
    there.destination.held_up = True
    town.send("alice@dev", "bob@prod")
    town.run()
    done = town.nets["dev"].say(OPERATOR, Call(9, "revoke", ["@prod"], b""))
    assert not any(isinstance(action, Hand) for action in done)
    town.run()
    assert town.described("dev", "prod")["queued"] == 1
    assert town.send("alice@dev", "bob@prod") == "unknown_recipient"
