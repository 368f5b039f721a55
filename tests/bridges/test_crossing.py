"""One hop: what arrives, as what, and that it arrives once."""

from __future__ import annotations

import hashlib

import pytest

from ipcbus.broker.settings import Settings
from ipcbus.protocol.limits import MAX_HOLD_MS
from ipcbus.protocol.messages import FLAG_ACKED, FLAG_RELAYED
from ipcbus.protocol.pieces import unpack_meta
from ipcbus.store.base import FOREIGN_ID_MS
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, texts
from tests.bridges.conftest import Make
from tests.broker.harness import OPERATOR, Delivered, draft


def data(mail: Delivered) -> dict[str, str]:
    found: dict[str, str] = unpack_meta(mail.header.meta).data
    return found


def maintain(town: Cluster, network: str) -> None:
    net = town.nets[network]
    net.store.begin()
    net.store.archive.maintain(net.wall, net.settings.history_ms, 1000)
    net.store.commit()


# --- names ---------------------------------------------------------------------------


def test_mail_arrives_from_a_full_name_with_foreign_trust_and_one_hop(
    town: Cluster,
) -> None:
    town.bridge("dev", "prod")
    assert town.send("alice@dev", "bob@prod", body="hello") == "accepted"
    town.run()
    (mail,) = town.read("bob@prod")
    header, dev = mail.header, town.nets["dev"].broker._links.network_id
    assert (header.sender, header.to, header.trust) == ("alice@dev", "bob", "foreign")
    assert header.hops == [f"dev/{dev}"]
    assert mail.text == "hello"


def test_ids_and_threads_are_named_by_the_network_that_they_are_of(
    town: Cluster,
) -> None:
    town.bridge("dev", "prod")
    town.send("ben@prod", "bob", as_="m1")
    town.send("alice@dev", "bob@prod", as_="m1", thread="t1")
    town.run()
    own, foreign = town.read("bob@prod")
    assert (own.header.id, foreign.header.id) == ("m1", "m1@dev")
    assert foreign.header.thread == "t1@dev"


def test_a_thread_is_called_at_home_as_it_was_begun_there(town: Cluster) -> None:
    town.bridge("dev", "prod")
    town.send("alice@dev", "bob@prod", thread="t1")
    town.run()
    (mail,) = town.read("bob@prod")
    town.send("bob@prod", "alice@dev", thread=mail.header.thread)
    town.run()
    assert [one.header.thread for one in town.read("alice@dev")] == ["t1"]


def test_mail_waits_for_a_bridge_that_comes_later(town: Cluster) -> None:
    there, back = town.bridge("dev", "prod")
    town.kill(there)
    town.kill(back)
    assert town.send("alice@dev", "bob@prod") == "accepted"
    town.advance(3600)
    assert town.read("bob@prod") == []
    town.bridge("dev", "prod")
    assert len(town.read("bob@prod")) == 1


def test_mail_to_a_network_that_no_bridge_leads_to_is_refused_at_once(
    town: Cluster,
) -> None:
    assert town.send("alice@dev", "bob@prod") == "unknown_recipient"


def test_a_former_name_forwards_over_the_bridge_too(town: Cluster) -> None:
    town.bridge("dev", "prod")
    town.nets["prod"].call(b"bob", "rename", None, "robert")
    town.send("alice@dev", "bob@prod")
    town.run()
    (mail,) = (m for m in town.read("bob@prod") if m.header.kind == "inform")
    assert mail.header.sender == "alice@dev"


def test_a_network_is_the_same_however_its_name_is_written(town: Cluster) -> None:
    town.nets["prod"].call(OPERATOR, "link", "DEV", "d" * 64, "in")
    town.bridge("dev", "prod")
    assert [x["peer"] for x in town.nets["prod"].call(OPERATOR, "links")] == ["dev"]
    assert town.send("alice@dev", "bob@PROD") == "accepted"
    town.run()
    assert [mail.header.id for mail in town.read("bob@prod")] == ["m1@dev"]


def test_an_attachment_comes_over_before_its_message(both: Cluster) -> None:
    both.bridge("dev", "prod")
    dev, prod = both.nets["dev"], both.nets["prod"]
    sha = hashlib.sha256(b"data").hexdigest()
    dev.call(b"alice", "blob_begin", sha, 4)
    dev.call(b"alice", "blob_write", sha, 0, body=b"data")
    dev.call(b"alice", "blob_seal", sha)
    both.send("alice@dev", "bob@prod", attachments=[[sha, 4, "a.txt", None]])
    both.send("alice@dev", "bob@prod")
    both.run()
    assert [m.header.id for m in both.read("bob@prod")] == ["m1@dev", "m2@dev"]
    assert prod.call(b"bob", "blob_read", sha, 0) == [4]


# --- once ----------------------------------------------------------------------------


def lose_the_verdict(town: Cluster) -> None:
    """alice's message is in prod, and dev does not know."""
    there, _ = town.bridge("dev", "prod")
    there.destination.held_down = True
    town.send("alice@dev", "bob@prod", as_="m1")
    town.run()
    there.cut()


def test_what_is_handed_over_twice_is_a_duplicate_and_as_good_as_accepted(
    both: Cluster,
) -> None:
    lose_the_verdict(both)
    both.wires[0].heal()
    both.run()
    assert [mail.header.id for mail in both.read("bob@prod")] == ["m1@dev"]
    counted = both.described("dev", "prod")["counters"]
    assert (counted["accepted"], counted["duplicate"]) == (0, 1)
    assert both.described("prod", "dev")["came"] == {
        "accepted": 1,
        "duplicate": 1,
        "deferred": 0,
        "refused": 0,
    }


def test_a_duplicate_is_known_when_its_content_is_gone(make_both: Make) -> None:
    town = make_both(prod=Settings(history_ms=0))
    lose_the_verdict(town)
    assert len(town.read("bob@prod")) == 1
    maintain(town, "prod")
    town.restart("prod")
    town.wires[0].heal()
    town.run()
    assert town.read("bob@prod") == []
    assert town.described("dev", "prod")["counters"]["duplicate"] == 1


@pytest.mark.parametrize("gone", ["bob is", "the right to come is", "the room is"])
def test_what_was_accepted_once_is_a_duplicate_whatever_has_changed(
    make_town: Make, gone: str
) -> None:
    town = make_town(prod=Settings(mailbox_messages=1, rename_ms=0, forward_ms=0))
    lose_the_verdict(town)
    prod = town.nets["prod"]
    if gone == "bob is":
        prod.call(b"bob", "rename", None, "robert")
    elif gone == "the right to come is":
        prod.call(OPERATOR, "grant", "dev", "in", "deny * -> *")
    town.wires[0].heal()
    town.run()
    assert town.described("dev", "prod")["counters"]["duplicate"] == 1
    assert town.read("alice@dev") == []


def test_ids_of_other_networks_are_known_for_as_long_as_they_can_come_again(
    make_both: Make,
) -> None:
    """A source keeps mail for MAX_HOLD_MS; the ids of dev's own go sooner."""
    town = make_both(prod=Settings(history_ms=0))
    town.bridge("dev", "prod")
    town.send("alice@dev", "bob@prod", as_="m1")
    town.send("ben@prod", "bob", as_="own")
    town.run()
    town.read("bob@prod")
    mail = town.nets["prod"].store.mail

    def known() -> list[bool]:
        maintain(town, "prod")
        town.nets["prod"].turn()
        return [mail.find(id_) is not None for id_ in ("own", "m1@dev")]

    assert known() == [True, True]
    town.advance(MAX_HOLD_MS / 1000 + 1)
    assert known() == [False, True]
    town.advance((FOREIGN_ID_MS - MAX_HOLD_MS) / 1000)
    assert known() == [False, False]


def test_a_bridge_does_not_lead_that_would_hold_mail_for_longer_than_ids_are_known(
    town: Cluster,
) -> None:
    there, _ = town.bridge("dev", "prod", terms=Terms(hold_ms=FOREIGN_ID_MS))
    assert there.state == "config_error"
    assert "hold_for must be less than the 192 h" in there.link.why


# --- topics --------------------------------------------------------------------------


def test_a_topic_of_the_rules_comes_to_those_who_joined_it_there(town: Cluster) -> None:
    town.bridge("dev", "prod", "* -> #deploy.**")
    town.nets["prod"].call(b"bob", "join", "deploy.*")
    town.nets["dev"].call(b"amy", "join", "deploy.web")
    town.send("alice@dev", "#deploy.web")
    town.run()
    (here,), (there,) = town.read("amy@dev"), town.read("bob@prod")
    assert here.header.to == there.header.to == "#deploy.web"
    assert there.header.sender == "alice@dev"
    assert town.read("ben@prod") == []


def test_a_topic_that_only_a_bridge_reads_crosses_as_well(town: Cluster) -> None:
    """A single reader that is a link was once sent without its digest, and no broker
    would take it, ever."""
    town.bridge("dev", "prod", "* -> #news")
    town.nets["prod"].call(b"bob", "join", "news")
    assert town.send("alice@dev", "#news") == "accepted"
    town.run()
    assert len(town.read("bob@prod")) == 1


def test_a_topic_that_no_rule_names_stays(town: Cluster) -> None:
    town.bridge("dev", "prod", "* -> #deploy.**")
    for name in (b"bob", b"ben"):
        town.nets["prod"].call(name, "join", "**")
    town.nets["dev"].call(b"amy", "join", "**")
    town.send("alice@dev", "#secret")
    town.run()
    assert town.read("bob@prod") == []
    assert town.described("dev", "prod")["counters"]["offered"] == 0


def test_a_topic_that_nobody_reads_there_is_no_failure(town: Cluster) -> None:
    town.bridge("dev", "prod", "* -> #news")
    town.send("alice@dev", "#news")
    town.run()
    assert town.read("alice@dev") == []
    assert town.described("dev", "prod")["counters"]["filtered"] == 1


def test_a_topic_does_not_come_back_by_the_other_half_of_its_bridge(
    town: Cluster,
) -> None:
    town.bridge("dev", "prod", "* -> #news", "#news <- *")
    town.nets["prod"].call(b"bob", "join", "news")
    town.nets["dev"].call(b"amy", "join", "news")
    town.send("alice@dev", "#news")
    town.run()
    assert len(town.read("bob@prod")) == len(town.read("amy@dev")) == 1
    assert town.described("prod", "dev")["counters"]["offered"] == 0


def test_mail_to_everyone_stays(town: Cluster) -> None:
    town.bridge("dev", "prod", "* -> *", "* -> #**")
    town.send("alice@dev", "*")
    town.run()
    assert len(town.read("amy@dev")) == 1
    assert town.read("bob@prod") == town.read("ben@prod") == []


# --- time and receipts ---------------------------------------------------------------


def test_its_time_to_live_goes_on_there_and_its_sender_hears_of_the_end(
    town: Cluster,
) -> None:
    there, _ = town.bridge("dev", "prod")
    there.cut()
    town.send("alice@dev", "bob@prod", ttl_ms=10_000)
    town.advance(4)
    there.heal()
    town.run()
    town.advance(5)
    (mail,) = town.fetch("bob@prod")
    assert mail.header.expires_at == town.nets["prod"].wall + 1_000
    town.nets["prod"].settle(b"bob", releases=[mail.receipt])
    town.advance(1)
    assert town.read("bob@prod") == []
    (bounce,) = town.read("alice@dev")
    assert bounce.header.sender == "ipcbus@prod"
    assert data(bounce)["status"] == "4.4.7"


def test_receipts_tell_when_it_was_relayed_and_when_it_was_acked(town: Cluster) -> None:
    town.bridge("dev", "prod")
    town.send("alice@dev", "bob@prod", as_="m1", flags=FLAG_RELAYED | FLAG_ACKED)
    town.run()
    (relayed,) = town.read("alice@dev")
    assert data(relayed) == {"event": "relayed", "id": "m1", "to": "bob@prod"}
    assert relayed.header.sender == "ipcbus"
    town.read("bob@prod")
    town.run()
    (acked,) = town.read("alice@dev")
    assert data(acked)["event"] == "acked"
    assert (acked.header.sender, acked.header.reply_to) == ("ipcbus@prod", "m1")
    assert (acked.header.kind, acked.header.trust) == ("ack", "foreign")
    town.run()
    assert town.read("bob@prod") == []


def test_a_receipt_that_nobody_wanted_is_not_sent(town: Cluster) -> None:
    town.bridge("dev", "prod")
    town.send("alice@dev", "bob@prod")
    town.run()
    town.read("bob@prod")
    town.run()
    assert town.read("alice@dev") == []


# --- who the other network is --------------------------------------------------------


def test_another_network_of_the_same_name_is_not_taken_until_its_owner_says_so(
    make_town: Make,
) -> None:
    town = make_town()
    there, _ = town.bridge("dev", "prod")
    dev = town.nets["dev"]
    dev.broker._links._pins["prod"] = "another"
    there.cut()
    there.heal()
    town.send("alice@dev", "bob@prod")
    town.run()
    assert there.state == "identity_changed"
    assert town.read("bob@prod") == []
    dev.call(OPERATOR, "steer", "prod", "trust")
    town.pass_time(2)
    assert there.state == "running"
    assert len(town.read("bob@prod")) == 1


def test_trust_given_anew_does_not_stop_a_link_that_runs(both: Cluster) -> None:
    """The destination wants to be met again, and the link must find that out."""
    there, _ = both.bridge("dev", "prod")
    both.nets["prod"].call(OPERATOR, "steer", "dev", "trust")
    both.send("alice@dev", "bob@prod", body="1")
    both.run()
    both.send("alice@dev", "bob@prod", body="2")
    both.pass_time(3)
    assert there.state == "running"
    assert texts(both.read("bob@prod")) == ["1", "2"]


def test_both_brokers_keep_a_trail_of_what_crossed(both: Cluster) -> None:
    both.bridge("dev", "prod", "alice -> bob")
    both.send("alice@dev", "bob@prod", as_="m1")
    both.send("amy@dev", "bob@prod", as_="m2")
    both.run()

    def trail(network: str) -> list[list[str]]:
        rows = both.nets[network].call(OPERATOR, "audit", 0, 100)[0]
        return sorted([row[2], row[3], *row[8:11]] for row in rows)

    carried = ["out", "prod", "r0", "accepted", ""]
    denied = ["out", "prod", "", "refused", "5.7.1"]
    assert trail("dev") == [denied, carried]
    assert trail("prod") == [["in", "dev", "r0", "accepted", ""]]
    ((_, _, _, *step), *more), state = both.nets["prod"].call(b"bob", "trace", "m1@dev")
    assert state == "waiting"
    assert step == ["alice@dev", "bob", "", "accepted", "", ""]
    assert [row[1:3] for row in more] == [["in", "dev"]]


def test_a_batch_of_many_arrives_whole_and_in_order(both: Cluster) -> None:
    net = both.nets["dev"]
    there, _ = both.bridge("dev", "prod")
    there.cut()
    for part in range(4):
        drafts = [draft(f"m{part * 100 + n}", "bob@prod") for n in range(100)]
        assert net.send(b"alice", *drafts) == []
    there.heal()
    both.run()
    found = [*both.read("bob@prod"), *both.read("bob@prod"), *both.read("bob@prod")]
    found += both.read("bob@prod")
    assert [mail.header.id for mail in found] == [f"m{n}@dev" for n in range(400)]
