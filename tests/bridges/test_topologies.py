"""Many networks: what comes out is counted, message by message and hop by hop."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, permutations

import pytest

from ipcbus.protocol.messages import FLAG_ACKED
from ipcbus.protocol.pieces import unpack_meta
from ipcbus.store.memory import MemoryStore
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, rules_of, texts
from tests.broker.harness import OPERATOR

FAR = Terms(max_hops=8)
FLOOD = ("*@* -> #** transit",)


def networks(names: str, seed: int = 0) -> Cluster:
    """One agent `x` in each, who reads all topics."""
    town = Cluster(*names, seed=seed)
    for name in names:
        town.people(f"x@{name}")
        town.nets[name].call(b"x", "join", "**")
    return town


def links(
    town: Cluster, pairs: Iterable[tuple[str, ...]], *texts: str, terms: Terms = FAR
) -> None:
    for a, b in pairs:
        town.link(a, b, rules_of(a, b, *texts, terms=terms))
    town.run()


def ring(names: str) -> list[tuple[str, str]]:
    """Both ways between neighbours."""
    pairs = list(zip(names, names[1:] + names[0], strict=True))
    return pairs + [(b, a) for a, b in pairs]


def handed(town: Cluster) -> int:
    return sum(len(wire.handed) for wire in town.wires)


def came(town: Cluster, network: str) -> dict[str, int]:
    """What its bridges brought into a network, all together."""
    total: dict[str, int] = {}
    for link in town.nets[network].call(OPERATOR, "links"):
        for what, count in link["came"].items():
            total[what] = total.get(what, 0) + count
    return total


def hops(town: Cluster, address: str) -> list[str]:
    """Of the one message that is there, the names of its hops."""
    (mail,) = town.read(address)
    assert mail.header.sender.partition("@")[2] == (mail.header.hops or ["/"])[0][0]
    return [hop.partition("/")[0] for hop in mail.header.hops or ()]


# --- shapes --------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["abc", "abcdef"])
def test_in_a_ring_mail_goes_to_neighbours_alone(names: str) -> None:
    town = networks(names)
    links(town, ring(names))
    for here, there in permutations(names, 2):
        near = (here, there) in ring(names)
        said = town.send(f"x@{here}", f"x@{there}")
        assert said == ("accepted" if near else "unknown_recipient")
    town.run()
    assert handed(town) == 2 * len(names)
    for name in names:
        assert len(town.read(f"x@{name}")) == 2
    assert handed(town) == 2 * len(names)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("names", ["abc", "abcdef"])
def test_in_a_ring_a_topic_goes_round_both_ways_and_is_read_once(
    names: str, seed: int
) -> None:
    """Where its two ways meet it crosses one link once, or both ways at once."""
    town = networks(names, seed)
    links(town, ring(names), *FLOOD)
    town.send("x@a", "#news")
    town.run()
    for name in names[1:]:
        assert len(town.read(f"x@{name}")) == 1
    assert town.read("x@a") == []
    assert handed(town) in (len(names), len(names) + 1)
    doubled = sum(came(town, name)["duplicate"] for name in names)
    assert doubled == handed(town) - (len(names) - 1)


def test_without_transit_a_topic_goes_one_hop() -> None:
    town = networks("abcd")
    links(town, ring("abcd"), "* -> #**")
    town.send("x@a", "#news")
    town.run()
    assert [len(town.read(f"x@{name}")) for name in "abcd"] == [0, 1, 0, 1]
    assert handed(town) == 2


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_a_topic_goes_as_many_hops_as_the_bridges_allow(most: int) -> None:
    town = networks("abcdef")
    way = list(zip("abcde", "bcdef", strict=True))
    links(town, way, *FLOOD, terms=Terms(max_hops=most))
    town.send("x@a", "#news")
    town.run()
    reached = "".join(name for name in "bcdef" if town.read(f"x@{name}"))
    assert reached == "bcdef"[:most]
    assert town.read("x@a") == []


@pytest.mark.parametrize("seed", range(6))
def test_in_a_diamond_both_ways_bring_it_and_one_is_a_duplicate(seed: int) -> None:
    town = networks("abcd", seed)
    links(town, [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")], *FLOOD)
    for n in range(5):
        town.send("x@a", "#news", body=str(n))
    town.run()
    assert sorted(texts(town.read("x@d"))) == ["0", "1", "2", "3", "4"]
    assert handed(town) == 20
    assert came(town, "d") == {
        "accepted": 5,
        "duplicate": 5,
        "deferred": 0,
        "refused": 0,
    }


def test_in_a_diamond_mail_takes_one_of_the_ways() -> None:
    town = networks("abcd")
    pairs = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]
    links(town, pairs, "*@* -> *@d transit")
    assert town.send("x@a", "x@d") == "accepted"
    town.run()
    assert hops(town, "x@d") in (["a", "b"], ["a", "c"])
    assert handed(town) == 2


def test_in_a_mesh_everybody_reaches_everybody_in_one_hop() -> None:
    town = networks("abcd")
    links(town, permutations("abcd", 2))
    for here, there in permutations("abcd", 2):
        assert town.send(f"x@{here}", f"x@{there}") == "accepted"
    town.run()
    assert handed(town) == 12
    for name in "abcd":
        mail = town.read(f"x@{name}")
        assert len(mail) == 3
        assert all(len(one.header.hops or ()) == 1 for one in mail)


@pytest.mark.parametrize("seed", range(4))
def test_in_a_mesh_a_topic_with_transit_is_read_once_by_each(seed: int) -> None:
    """It goes over each link once, but back to where it has been over none."""
    town = networks("abcd", seed)
    links(town, permutations("abcd", 2), *FLOOD)
    town.send("x@a", "#news")
    town.run()
    assert [len(town.read(f"x@{name}")) for name in "abcd"] == [0, 1, 1, 1]
    assert handed(town) <= 3 + 3 * 2
    town.pass_time(3)
    assert handed(town) <= 3 + 3 * 2


def test_in_a_star_the_middle_passes_on_what_rules_let_it() -> None:
    town = networks("mabc")
    out = [("m", leaf) for leaf in "abc"]
    links(town, [(leaf, "m") for leaf in "abc"], *FLOOD)
    links(town, out, *FLOOD)
    town.send("x@a", "#news")
    town.run()
    assert [len(town.read(f"x@{name}")) for name in "mabc"] == [1, 0, 1, 1]
    assert handed(town) == 3


def test_a_topic_is_not_offered_to_a_network_that_it_came_through() -> None:
    town = networks("abcd")
    links(town, [("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")], *FLOOD)
    town.send("x@a", "#news")
    town.run()
    assert [len(town.read(f"x@{name}")) for name in "bcd"] == [1, 1, 1]
    assert town.described("d", "b")["counters"]["offered"] == 0


# --- a long way ----------------------------------------------------------------------


def line(names: str = "abcd", *, replies: str = "3/1h", back: bool = False) -> Cluster:
    """Bridges in a row; mail may go forwards all the way, and back only as answers."""
    town = networks(names)
    for at in range(1, len(names)):
        a, b = names[at - 1], names[at]
        ahead = [f"*@* -> *@{far} transit replies={replies}" for far in names[at:]]
        behind = [f"*@* <- *@{near} transit" for near in names[:at] if back]
        town.bridge(a, b, *ahead, *behind, terms=FAR)
    return town


def test_mail_goes_all_the_way_and_its_answer_comes_back() -> None:
    town = line()
    assert town.send("x@a", "x@d", as_="q", flags=FLAG_ACKED) == "accepted"
    town.run()
    (mail,) = town.read("x@d")
    header = mail.header
    assert (header.id, header.sender, header.to) == ("q@a", "x@a", "x")
    assert [hop[0] for hop in header.hops or ()] == ["a", "b", "c"]
    assert town.send("x@d", "x@a", reply_to="q@a", kind="reply") == "accepted"
    town.run()
    receipt, answer = town.read("x@a")
    assert (receipt.header.kind, receipt.header.sender) == ("ack", "ipcbus@d")
    assert (answer.header.sender, answer.header.reply_to) == ("x@d", "q")
    assert [hop[0] for hop in answer.header.hops or ()] == ["d", "c", "b"]
    assert handed(town) == 3 + 3 + 3
    assert [town.read(f"x@{name}") for name in "bc"] == [[], []]


def test_on_a_long_way_too_there_are_no_more_answers_than_the_rule_says() -> None:
    town = line()
    town.send("x@a", "x@d", as_="q")
    town.run()
    town.read("x@d")
    said = [town.send("x@d", "x@a", reply_to="q@a", body=str(n)) for n in range(5)]
    assert said == ["accepted"] * 3 + ["unknown_recipient"] * 2
    town.run()
    assert texts(town.read("x@a")) == ["0", "1", "2"]


@pytest.mark.parametrize("replies", ["0", "1/1s"])
def test_a_bounce_comes_back_all_the_way_whatever_answers_are_allowed(
    replies: str,
) -> None:
    """Each broker on the way lets those behind it tell what became of a message."""
    town = line(replies=replies)
    town.send("x@a", "nobody@d", as_="m1")
    town.send("x@a", "x@d", as_="m2", ttl_ms=3600_000)
    town.run()
    town.advance(3601)
    bounces = {
        mail.header.reply_to: (
            mail.header.sender,
            unpack_meta(mail.header.meta).data["status"],
        )
        for mail in town.read("x@a")
    }
    assert bounces == {"m1": ("ipcbus@c", "5.1.1"), "m2": ("ipcbus@d", "4.4.7")}


def test_a_way_that_a_bridge_does_not_lead_on_is_refused_where_it_ends() -> None:
    town = networks("abc")
    town.bridge("a", "b", "*@* -> *@c transit", terms=FAR)
    town.bridge("b", "c", "*@b -> *@c")
    town.send("x@a", "x@c")
    town.run()
    assert town.read("x@c") == []
    (bounce,) = town.read("x@a")
    assert bounce.header.sender == "ipcbus@b"
    assert unpack_meta(bounce.header.meta).data["status"] == "5.4.6"


def test_ways_that_lead_round_in_a_circle_end_where_they_began() -> None:
    """Each thinks that the next one knows the way to a network that is not there."""
    town = networks("abc")
    links(town, [("a", "b"), ("b", "c"), ("c", "a")], "*@* -> *@z transit")
    links(town, [("b", "a"), ("c", "b"), ("a", "c")], "nobody -> nobody")
    assert town.send("x@a", "x@z") == "accepted"
    town.run()
    (bounce,) = town.read("x@a")
    assert unpack_meta(bounce.header.meta).data["status"] == "5.4.6"
    assert [town.read(f"x@{name}") for name in "bc"] == [[], []]


def test_a_link_that_closes_a_ring_while_mail_flows_doubles_nothing() -> None:
    town = networks("abc")
    links(town, [("a", "b"), ("b", "c")], *FLOOD)
    for n in range(20):
        town.send("x@a", "#news", body=str(n))
        for _ in range(n):
            town.step()
        if n == 10:
            town.link("a", "c", rules_of("a", "c", *FLOOD, terms=FAR))
            town.link("c", "a", rules_of("c", "a", *FLOOD, terms=FAR))
    town.run()
    everything = {str(n) for n in range(20)}
    for name in "bc":
        found = texts(town.read(f"x@{name}"))
        assert len(found) == 20
        assert set(found) == everything
    assert town.read("x@a") == []


# --- a network and itself ------------------------------------------------------------


def test_a_network_is_not_bridged_to_itself() -> None:
    town = networks("a")
    for name in ("a", "A"):
        said = town.nets["a"].refused(OPERATOR, "link", name, "d" * 64, "out")
        assert said.code == "not_permitted"


def test_nor_under_another_name() -> None:
    town = Cluster("a", "b", make=lambda name: MemoryStore(network="a"))
    there, back = town.bridge("a", "b")
    for wire in (there, back):
        assert wire.state == "config_error"
        assert "is this network itself" in wire.link.why


# --- agents that answer --------------------------------------------------------------


def test_two_agents_that_answer_everything_come_to_rest() -> None:
    """Requests need a rule, and answers the right to answer, which none of them
    grants: one answer, and the answer to that comes back to its writer."""
    town = Cluster("dev", "prod")
    town.people("x@dev", "x@prod")
    town.bridge("dev", "prod", "x <-> x kinds=request replies=3/1h")
    town.send("x@dev", "x@prod", kind="request")
    bounces = answers = 0
    for _ in range(20):
        town.run()
        for here in ("dev", "prod"):
            for mail in town.read(f"x@{here}"):
                if mail.header.kind == "bounce":
                    bounces += 1
                    continue
                to, id_ = mail.header.sender, mail.header.id
                town.send(f"x@{here}", to, reply_to=id_, kind="reply")
                answers += 1
    assert (answers, bounces) == (2, 1)
    assert sum(len(wire.handed) for wire in town.wires) == 2


def test_every_pair_of_a_mesh_that_answers_everything_comes_to_rest() -> None:
    town = networks("abc")
    for a, b in combinations("abc", 2):
        town.bridge(a, b, "x <-> x kinds=request replies=2/1h")
    for here, there in permutations("abc", 2):
        town.send(f"x@{here}", f"x@{there}", kind="request")
    town.run()
    for _ in range(10):
        for name in "abc":
            for mail in town.read(f"x@{name}"):
                if mail.header.kind != "bounce":
                    for _ in range(3):
                        to, id_ = mail.header.sender, mail.header.id
                        town.send(f"x@{name}", to, reply_to=id_, kind="reply")
        town.run()
    assert handed(town) == 6 + 6 * 2
