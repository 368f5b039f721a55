"""What one network hides from another, and a key that is taken away in the midst."""

from __future__ import annotations

import pytest

from ipcbus.protocol.messages import Call
from ipcbus.protocol.pieces import unpack_meta
from tests.bridges.cluster import Cluster, texts
from tests.bridges.conftest import Make
from tests.bridges.telling import flow, told
from tests.broker.harness import OPERATOR

HIDING = ["by a rule", "by its owner"]


def hide(town: Cluster, how: str) -> None:
    """Agents of prod but for bob."""
    deny = ["!* -> b*n"] if how == "by a rule" else []
    town.bridge("dev", "prod", "* <-> *", *deny)
    if how == "by its owner":
        town.nets["prod"].call(OPERATOR, "grant", "dev", "in", "allow * -> bob")


@pytest.mark.parametrize("how", HIDING)
def test_who_may_not_write_to_a_name_is_not_told_whether_it_is_there(
    make_both: Make, how: str
) -> None:
    """ben is; bnn is not."""
    town = make_both()
    hide(town, how)
    said: dict[str, str] = {}
    for n, name in enumerate(("ben", "bnn"), 1):
        flow(town, f"{name}@prod", "hello")
        town.run()
        (bounce,) = town.read("alice@dev")
        data = dict(unpack_meta(bounce.header.meta).data)
        assert data.pop("to") == f"{name}@prod"
        data.pop("id")
        assert data["status"] == "5.7.1"
        written = f"{data} {bounce.header.sender} {bounce.text}"
        said[name] = written.replace(name, "NAME").replace(f"m{n}", "ID")
    assert said["ben"] == said["bnn"]


def test_a_trace_is_for_those_whom_it_is_about(both: Cluster) -> None:
    both.bridge("dev", "prod")
    both.send("alice@dev", "bob@prod", as_="m1")
    both.run()
    dev, prod = both.nets["dev"], both.nets["prod"]
    assert dev.call(b"alice", "trace", "m1")
    assert prod.call(b"bob", "trace", "m1@dev")
    for net, agent, id_ in ((dev, b"amy", "m1"), (prod, b"ben", "m1@dev")):
        assert net.refused(agent, "trace", id_).code == "no_such_message"
        assert net.refused(agent, "trace", "m999").code == "no_such_message"


@pytest.mark.parametrize("heard", [False, True])
def test_a_key_that_the_destination_takes_away_in_the_midst_of_a_batch_ends_it(
    both: Cluster, heard: bool
) -> None:
    """What it had handed over is taken whole or not at all; the rest waits for another
    key. `heard`: the destination had heard it when its owner took the key away."""
    there, back = both.bridge("dev", "prod")
    there.destination.held_up = not heard
    there.destination.held_down = True
    flow(both, "bob@prod", *map(str, range(10)))
    both.run()
    prod = both.nets["prod"]
    prod.say(OPERATOR, Call(prod.ref(), "revoke", ["@dev"], b""))
    there.destination.held_up = there.destination.held_down = False
    both.run()
    both.pass_time(3)
    came = texts(both.read("bob@prod"))
    assert came == (["0"] if heard else []), "of a stream one batch at a time"
    assert told(both.read("alice@dev")) == []
    link = both.described("dev", "prod")
    assert link["queued"] + link["in_flight"] == 10 - len(came)
    assert there.state != "running"
    prod.hello(OPERATOR)
    prod.call(OPERATOR, "link", "dev", "c" * 64, "out")
    for end in (there.destination, back.source):
        end.key, end.refused = "c" * 64, False
    both.run()
    both.pass_time(3)
    assert came + texts(both.read("bob@prod")) == [str(n) for n in range(10)]
