"""What does not cross at once waits, and keeps its order."""

from __future__ import annotations

from ipcbus.broker.settings import Settings
from ipcbus_bridges.rules import Terms
from tests.bridges.cluster import Cluster, texts
from tests.bridges.conftest import Make
from tests.bridges.telling import drain, flow, told
from tests.broker.harness import OPERATOR, draft


def test_a_full_mailbox_holds_up_its_own_stream_alone(make_both: Make) -> None:
    town = make_both(prod=Settings(mailbox_messages=2))
    there, _ = town.bridge("dev", "prod")
    flow(town, "bob@prod", "1", "2", "3", "4")
    flow(town, "ben@prod", "a", "b")
    town.run()
    assert texts(town.read("ben@prod")) == ["a", "b"]
    assert town.described("dev", "prod")["held"] == 2
    flow(town, "bob@prod", "5")
    flow(town, "ben@prod", "c")
    town.run()
    assert texts(town.read("ben@prod")) == ["c"]
    assert there.state == "running"
    assert drain(town, "bob@prod") == ["1", "2", "3", "4", "5"]
    assert town.read("alice@dev") == []


def test_a_link_of_which_all_is_put_off_says_so(make_town: Make) -> None:
    town = make_town(prod=Settings(mailbox_messages=1))
    there, _ = town.bridge("dev", "prod")
    flow(town, "bob@prod", "1", "2")
    town.run()
    assert there.state == "blocked"
    assert "4.2.2" in there.link.why
    drain(town, "bob@prod", 3)
    assert there.state == "running"


def test_a_short_message_does_not_pass_a_long_one_that_has_no_room(
    make_both: Make,
) -> None:
    """Both in one hand-over: the mailbox has room for the second, and not for the
    first. And again when the second comes while the first is put off."""
    town = make_both(prod=Settings(mailbox_bytes=2000))
    there, _ = town.bridge("dev", "prod")
    there.destination.held_up = True
    flow(town, "bob@prod", "0" * 1200, "0")
    town.run()
    flow(town, "bob@prod", "1" * 1200, "2")
    there.destination.held_up = False
    town.run()
    flow(town, "bob@prod", "3")
    town.run()
    assert [body[0] for body in drain(town, "bob@prod")] == ["0", "0", "1", "2", "3"]


def test_priorities_are_streams_of_their_own(make_town: Make) -> None:
    town = make_town(prod=Settings(mailbox_messages=1))
    town.bridge("dev", "prod")
    flow(town, "bob@prod", "full", "slow")
    town.run()
    town.send("alice@dev", "bob@prod", body="urgent", priority=9)
    town.run()
    assert town.described("dev", "prod")["held"] == 2
    found = drain(town, "bob@prod")
    assert sorted(found) == ["full", "slow", "urgent"]


def test_a_long_stream_that_was_put_off_comes_in_order(make_both: Make) -> None:
    """More of it is due at once than a broker wakes in a turn."""
    settings = Settings(mailbox_messages=1)
    town = make_both(prod=settings)
    town.bridge("dev", "prod")
    flow(town, "bob@prod", "full")
    town.run()
    for part in range(6):
        drafts = [draft(f"n{part * 100 + n}", "bob@prod") for n in range(100)]
        assert town.nets["dev"].send(b"alice", *drafts) == []
    town.run()
    assert town.described("dev", "prod")["held"] == 600
    town.read("bob@prod")
    object.__setattr__(settings, "mailbox_messages", 1000)
    ids = []
    for _ in range(8):
        town.advance(0.5)
        for net in town.nets.values():
            net.advance(0.001)
        town.run()
        ids += [mail.header.id for mail in town.read("bob@prod")]
    while found := town.read("bob@prod"):
        ids += [mail.header.id for mail in found]
    assert ids == [f"n{n}@dev" for n in range(600)]


def test_nothing_new_passes_a_long_stream_while_it_is_woken(make_both: Make) -> None:
    """It takes two turns to wake it, and there is room again in the first."""
    settings = Settings(mailbox_messages=1)
    town = make_both(prod=settings)
    town.bridge("dev", "prod")
    flow(town, "bob@prod", "full")
    dev = town.nets["dev"]
    for part in range(6):
        drafts = [draft(f"n{part * 100 + n}", "bob@prod") for n in range(100)]
        assert dev.send(b"alice", *drafts) == []
    town.run()
    town.read("bob@prod")
    object.__setattr__(settings, "mailbox_messages", 1000)
    for net in town.nets.values():
        net.mono += 1
        net.wall += 1000
    dev.send(b"alice", draft("n600", "bob@prod"))  # the turn that wakes the first 500
    town.run()
    ids = []
    while found := town.read("bob@prod"):
        ids += [mail.header.id for mail in found]
    assert ids == [f"n{n}@dev" for n in range(601)]


def test_what_waits_in_the_link_is_put_off_with_what_is_under_way(
    make_town: Make,
) -> None:
    """There is room again before the link hears that there was none."""
    town = make_town(prod=Settings(mailbox_messages=1))
    there, _ = town.bridge("dev", "prod")
    flow(town, "bob@prod", "full")
    town.run()
    there.destination.held_down = True
    flow(town, "bob@prod", "1")
    town.run()
    flow(town, "bob@prod", "2")
    town.run()
    assert texts(town.read("bob@prod")) == ["full"]
    there.destination.held_down = False
    assert drain(town, "bob@prod", 10) == ["1", "2"]


def test_a_new_leader_tries_at_once_what_was_put_off_and_in_order(
    make_both: Make,
) -> None:
    town = make_both(prod=Settings(mailbox_messages=1))
    there, _ = town.bridge("dev", "prod")
    flow(town, "bob@prod", "full", "1")
    town.run()
    town.read("bob@prod")
    town.kill(there)
    flow(town, "bob@prod", "2")
    town.link("dev", "prod", there.rules)
    town.run()
    assert texts(town.read("bob@prod")) == ["1"]
    assert drain(town, "bob@prod", 10) == ["2"]


def test_a_rule_with_a_rate_lets_the_rest_wait_in_order(town: Cluster) -> None:
    town.bridge("dev", "prod", "alice -> bob rate=2/s", "alice -> ben")
    flow(town, "bob@prod", "1", "2", "3", "4", "5")
    flow(town, "ben@prod", "a")
    town.run()
    assert texts(town.read("ben@prod")) == ["a"]
    assert texts(town.read("bob@prod")) == ["1", "2"]
    assert drain(town, "bob@prod", 5) == ["3", "4", "5"]


def test_an_order_of_the_owner_to_pause_holds_all_and_mixes_nothing(
    both: Cluster,
) -> None:
    """Part of a stream is under way, part waits in the link, when it is paused; and it
    comes before what was sent since."""
    there, _ = both.bridge("dev", "prod")
    there.destination.held_up = True
    for body in "123":
        flow(both, "bob@prod", body)
        both.run()
    dev = both.nets["dev"]
    assert dev.call(OPERATOR, "steer", "prod", "pause") == [True, 0]
    both.pass_time(2)
    assert there.state == "paused"
    there.cut(there.destination)  # what was under way is lost
    there.heal()
    flow(both, "bob@prod", "4")
    both.pass_time(3)
    assert both.read("bob@prod") == []
    both.restart("dev")
    both.pass_time(2)
    assert there.state == "paused"
    both.nets["dev"].call(OPERATOR, "steer", "prod", "resume")
    both.pass_time(2)
    assert there.state == "running"
    assert texts(both.read("bob@prod")) == ["1", "2", "3", "4"]


def test_what_was_under_way_when_it_paused_comes_before_what_is_new(
    town: Cluster,
) -> None:
    there, _ = town.bridge("dev", "prod")
    there.destination.held_up = True
    for body in "123":
        flow(town, "bob@prod", body)
        town.run()
    dev = town.nets["dev"]
    dev.call(OPERATOR, "steer", "prod", "pause")
    dev.call(OPERATOR, "steer", "prod", "resume")
    flow(town, "bob@prod", "4")
    there.destination.held_up = False
    assert drain(town, "bob@prod", 5) == ["1", "2", "3", "4"]


def test_what_a_bridge_held_for_too_long_bounces_when_it_comes_back(
    make_both: Make,
) -> None:
    """Not at the end of its lease, and no other bridge is given it."""
    terms = Terms(hold_ms=20_000, warn_ms=10**8)
    town = make_both()
    there, _ = town.bridge("dev", "prod", terms=terms)
    there.destination.held_up = True
    flow(town, "bob@prod", "late")
    town.run()
    town.pass_time(25)
    assert town.read("alice@dev") == [], "it may be there already"
    town.kill(there)
    town.bridge("dev", "prod", terms=terms)
    town.run()
    town.advance(0.001)
    assert told(town.read("alice@dev")) == [("bounce", "4.4.7")]
    assert town.read("bob@prod") == []
