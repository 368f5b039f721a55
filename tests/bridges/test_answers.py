"""The right to answer: what needs no rule, how often, for how long, and by whom."""

from __future__ import annotations

import pytest

from ipcbus.broker.settings import DAY, Settings
from ipcbus.protocol.pieces import unpack_meta
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, rules_of, texts
from tests.bridges.conftest import Make
from tests.broker.harness import OPERATOR, Delivered, draft

ONE_WAY = "alice -> bob replies=3/1h"


def ask(town: Cluster, rule: str = ONE_WAY) -> str:
    """alice asks bob; the id of the question, as bob knows it."""
    town.bridge("dev", "prod", rule)
    town.send("alice@dev", "bob@prod", as_="q", kind="request")
    town.run()
    (question,) = town.read("bob@prod")
    return question.header.id


def answer(town: Cluster, to: str, *bodies: str, sender: str = "bob@prod") -> list[str]:
    """Answer each on its own; the texts that alice got."""
    for body in bodies:
        town.send(sender, "alice@dev", reply_to=to, body=body, kind="reply")
        town.run()
    return texts(town.read("alice@dev"))


def forget(town: Cluster) -> None:
    """All brokers purge what has no future."""
    for net in town.nets.values():
        net.store.begin()
        net.store.archive.maintain(net.wall, 0, 1000)
        net.store.commit()


def statuses(mail: list[Delivered]) -> list[str]:
    found = []
    for one in mail:
        assert one.header.kind == "bounce", one
        found.append(unpack_meta(one.header.meta).data["status"])
    return found


def test_who_received_a_message_may_answer_it_without_a_rule(town: Cluster) -> None:
    question = ask(town)
    assert question == "q@dev"
    assert answer(town, question, "yes") == ["yes"]
    assert town.read("bob@prod") == []


def test_an_answer_is_called_at_home_by_what_it_answers(town: Cluster) -> None:
    question = ask(town)
    town.send("bob@prod", "alice@dev", reply_to=question, thread=question)
    town.run()
    (mail,) = town.read("alice@dev")
    assert (mail.header.reply_to, mail.header.thread) == ("q", "q")
    assert (mail.header.sender, mail.header.trust) == ("bob@prod", "foreign")


def test_what_is_no_answer_needs_a_rule(town: Cluster) -> None:
    ask(town)
    town.send("bob@prod", "alice@dev")
    town.run()
    assert town.read("alice@dev") == []
    assert statuses(town.read("bob@prod")) == ["5.7.1"]


def test_it_may_be_answered_as_often_as_the_rule_says(both: Cluster) -> None:
    question = ask(both)
    assert answer(both, question, "1", "2", "3", "4", "5") == ["1", "2", "3"]
    assert statuses(both.read("bob@prod")) == ["5.7.1", "5.7.1"]


def test_nor_is_it_more_often_when_all_answers_are_sent_at_once(both: Cluster) -> None:
    question = ask(both)
    drafts = [draft(f"a{n}", "alice@dev", reply_to=question) for n in range(5)]
    assert both.nets["prod"].send(b"bob", *drafts) == []
    both.run()
    assert [m.header.id for m in both.read("alice@dev")] == [
        "a0@prod",
        "a1@prod",
        "a2@prod",
    ]
    assert statuses(both.read("bob@prod")) == ["5.7.1", "5.7.1"]


def test_it_may_be_answered_until_the_time_of_the_rule_is_over(town: Cluster) -> None:
    question = ask(town)
    town.advance(3599)
    assert answer(town, question, "in time") == ["in time"]
    town.advance(1)
    assert answer(town, question, "too late") == []
    assert statuses(town.read("bob@prod")) == ["5.7.1"]


def test_an_answer_that_was_sent_in_time_arrives_later_too(town: Cluster) -> None:
    question = ask(town)
    back = town.wires[1]
    back.cut()
    town.send("bob@prod", "alice@dev", reply_to=question, body="in time")
    town.advance(2 * 3600)
    back.heal()
    town.run()
    assert texts(town.read("alice@dev")) == ["in time"]


def test_nobody_else_may_answer_it(town: Cluster) -> None:
    question = ask(town)
    assert answer(town, question, "me too", sender="ben@prod") == []
    assert statuses(town.read("ben@prod")) == ["5.7.1"]
    assert answer(town, question, "1", "2", "3") == ["1", "2", "3"]


def test_an_answer_goes_to_its_sender_alone(town: Cluster) -> None:
    question = ask(town)
    town.send("bob@prod", "amy@dev", reply_to=question)
    town.run()
    assert town.read("amy@dev") == []
    assert statuses(town.read("bob@prod")) == ["5.7.1"]


def test_the_right_outlives_both_brokers_and_a_reload(both: Cluster) -> None:
    question = ask(both)
    assert answer(both, question, "1") == ["1"]
    both.restart("prod")
    both.restart("dev")
    for wire in both.wires:
        wire.reload(rules_of("dev", "prod", "nobody -> nobody"))
    both.run()
    assert answer(both, question, "2", "3", "4") == ["2", "3"]
    assert statuses(both.read("bob@prod")) == ["5.7.1"]


def test_it_can_be_answered_when_both_have_forgotten_what_it_said(
    make_both: Make,
) -> None:
    nothing = Settings(history_ms=0)
    town = make_both(dev=nothing, prod=nothing)
    question = ask(town)
    forget(town)
    assert answer(town, question, "yes") == ["yes"]


def test_a_reader_of_a_topic_may_answer_when_both_have_forgotten_what_it_said(
    make_both: Make,
) -> None:
    nothing = Settings(history_ms=0)
    town = make_both(dev=nothing, prod=nothing)
    town.bridge("dev", "prod", "* -> #news replies=1/1h")
    town.nets["dev"].call(OPERATOR, "grant", "prod", "in", "allow nobody -> nobody")
    for net, reader in (("dev", b"amy"), ("prod", b"bob")):
        town.nets[net].call(reader, "join", "news")
    town.send("alice@dev", "#news", as_="n")
    town.run()
    (mail,) = town.read("bob@prod")
    town.read("amy@dev")
    forget(town)
    assert answer(town, mail.header.id, "yes") == ["yes"]


def test_an_answer_may_overtake_the_news_that_the_question_arrived(
    town: Cluster,
) -> None:
    there, _ = town.bridge("dev", "prod", ONE_WAY)
    there.destination.held_down = True
    town.send("alice@dev", "bob@prod", as_="q")
    town.run()
    (question,) = town.read("bob@prod")
    assert town.described("dev", "prod")["counters"]["accepted"] == 0
    assert answer(town, question.header.id, "yes") == ["yes"]


def test_an_answer_grants_no_answer(town: Cluster) -> None:
    """Or two agents that answer everything would do so for ever: here the rule is for
    requests alone, so only a right to answer could let alice's answer out."""
    question = ask(town, "alice -> bob kinds=request replies=3/1h")
    town.send("bob@prod", "alice@dev", reply_to=question, kind="reply")
    town.run()
    (mail,) = town.read("alice@dev")
    town.send("alice@dev", "bob@prod", reply_to=mail.header.id, kind="reply")
    town.run()
    assert town.read("bob@prod") == []
    assert statuses(town.read("alice@dev")) == ["5.7.1"]


def test_the_same_answer_again_uses_nothing_up(town: Cluster) -> None:
    question = ask(town)
    for _ in range(5):
        town.send("bob@prod", "alice@dev", as_="a", reply_to=question)
        town.run()
    assert len(town.read("alice@dev")) == 1
    assert answer(town, question, "2", "3", "4") == ["2", "3"]


def test_an_answer_that_had_no_room_uses_nothing_up(town: Cluster) -> None:
    _, back = town.bridge("dev", "prod", ONE_WAY, terms=Terms(messages=1))
    town.send("alice@dev", "bob@prod", as_="q")
    town.run()
    (question,) = town.read("bob@prod")
    back.cut()
    prod = town.nets["prod"]
    assert prod.send(b"ben", draft("b", "alice@dev")) == []
    answers = [draft(f"a{n}", "alice@dev", reply_to="q@dev") for n in range(3)]
    codes = [row[1] for row in prod.send(b"bob", *answers, draft("own", "ben"))]
    assert codes == ["bound_exceeded"] * 3
    back.heal()
    town.run()
    assert answer(town, question.header.id, "1", "2", "3", "4") == ["1", "2", "3"]


def test_a_deny_with_replies_stops_answers_too(town: Cluster) -> None:
    town.bridge("dev", "prod", "alice -> bob", "!bob@prod -> alice@dev replies")
    town.send("alice@dev", "bob@prod", as_="q")
    town.run()
    assert answer(town, "q@dev", "yes") == []
    bounce, question = sorted(town.read("bob@prod"), key=lambda m: m.header.kind)
    assert statuses([bounce]) == ["5.7.1"]
    assert question.header.id == "q@dev"


def test_each_reader_of_a_topic_may_answer_its_author(town: Cluster) -> None:
    town.bridge("dev", "prod", "* -> #news replies=1/1h")
    for name in (b"bob", b"ben"):
        town.nets["prod"].call(name, "join", "news")
    town.send("alice@dev", "#news", as_="n")
    town.run()
    for reader in ("bob@prod", "ben@prod"):
        (mail,) = town.read(reader)
        assert answer(town, mail.header.id, reader, sender=reader) == [reader]


def test_an_answer_to_who_was_renamed_reaches_it_by_its_old_name(town: Cluster) -> None:
    question = ask(town)
    town.nets["dev"].call(b"alice", "rename", None, "alicia")
    assert answer(town, question, "yes") == ["yes"]


def test_who_was_renamed_may_answer_what_it_got_before(town: Cluster) -> None:
    question = ask(town)
    town.nets["prod"].call(b"bob", "rename", None, "robert")
    assert answer(town, question, "yes") == ["yes"]


@pytest.mark.parametrize("replies", ["replies=0", "replies=1/1h"])
def test_bounces_need_no_right_to_answer(make_town: Make, replies: str) -> None:
    town = make_town()
    town.bridge("dev", "prod", f"alice -> * {replies}")
    town.send("alice@dev", "bob@prod", ttl_ms=7200_000)
    town.advance(7201)
    assert statuses(town.read("alice@dev")) == ["4.4.7"]


@pytest.mark.parametrize("history_ms", [DAY, 0])
def test_a_bounce_of_another_network_finds_who_was_renamed_long_ago(
    make_town: Make, history_ms: int
) -> None:
    town = make_town(dev=Settings(history_ms=history_ms))
    town.bridge("dev", "prod", "alice -> bob")
    town.send("alice@dev", "bob@prod", as_="q", ttl_ms=10 * 3600 * 1000)
    town.run()
    town.nets["dev"].call(b"alice", "rename", None, "alicia")
    for _ in range(11):
        town.advance(3600)
    town.run()
    assert statuses(town.read("alice@dev")) == ["4.4.7"]


def test_an_answer_finds_who_was_renamed_long_ago_and_not_who_has_that_name_now(
    town: Cluster,
) -> None:
    question = ask(town, "alice -> bob replies=3/10h")
    town.nets["dev"].call(b"alice", "rename", None, "alicia")
    for _ in range(3):
        town.advance(3600)
    town.nets["dev"].call(b"amy", "rename", None, "alice")
    assert "yes" in answer(town, question, "yes")
    assert "yes" not in texts(town.read("amy@dev"))


@pytest.mark.parametrize("history_ms", [DAY, 0])
def test_what_went_out_is_known_when_it_is_sent_again_under_a_new_name(
    make_town: Make, history_ms: int
) -> None:
    town = make_town(dev=Settings(history_ms=history_ms))
    town.bridge("dev", "prod", "alice -> bob")
    dev, message = town.nets["dev"], draft("q", "bob@prod")
    assert dev.send(b"alice", message) == []
    town.run()
    dev.call(b"alice", "rename", None, "Alicia")
    assert dev.send(b"alice", message) == [[0, "accepted", {"again": True}]]
    assert dev.send(b"alice", message, body="other")[0][1] == "id_clash"
    town.run()
    assert texts(town.read("bob@prod")) == ["hi"]
