"""A network that is restored elsewhere: every row of its store, and every answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.broker.sums import DURABLE
from ipcbus.networks import Network
from ipcbus.store.sqlite.offline import SEQ_GAP, inspect
from ipcbus.transport import launch
from tests.bridges.town import DEV, PROD, Home, bridge, new_home
from tests.faults.restoring import begun, ended, restored, rows
from tests.waiting import until

pytestmark = pytest.mark.chaos

KEPT = {
    **dict.fromkeys(
        (
            "messages",
            "recipients",
            "pending",
            "dead",
            "totals",
            "agents",
            "keys",
            "aliases",
            "subscriptions",
            "blobs",
            "blob_chunks",
            "blob_links",
            "blob_owners",
            "pins",
            "reply_grants",
            "audit",
            "pauses",
        ),
        "*",
    ),
    "links": "agent, peer_id, paused, reloads, terms, grants",
}
"""All tables but those that say who serves, and those of the search, which follow the
messages in their own time. Nor the epochs of links, which a restore may raise."""


def test_every_row_and_every_answer_of_a_restored_network_is_that_of_its_source(
    tmp_path: Path,
) -> None:
    """Two networks with all that there can be in them; nobody is at work any more."""
    with new_home() as home:
        for name in (DEV, PROD):
            home.start(home.network(name))
        with home.inside():
            _live(home, tmp_path)
            before = {name: _answers(networks.find(name)) for name in (DEV, PROD)}
            _holds_all_kinds(before)
            for name in (DEV, PROD):
                ended(begun("backup", tmp_path / f"{name}.db", "-n", name))
                launch.stop(networks.find(name), timeout=60)
            for name in (DEV, PROD):
                _is_the_same_elsewhere(
                    networks.find(name), tmp_path / f"{name}.db", before[name]
                )


def _live(home: Home, folder: Path) -> None:
    for name in (DEV, PROD):
        for agent in ("alice", "bob", "carol"):
            ipcbus.connect(name, agent=agent, timeout=30).close()
    with bridge(home, folder) as carrier:
        carrier.runs()
        ended(begun("grant", DEV, PROD, "--out", "--deny", "carol -> *"))
        _cross()
        carrier.end()
    _stay_in(DEV)
    with ipcbus.connect(DEV, agent="alice", timeout=30) as alice:
        alice.send("bob@prod", "for when the bridge is back")
    with ipcbus.connect(DEV, agent="", timeout=30) as operator:
        operator.call("limit", "bob", 50, 65536)
        operator.call("pause", "carol")
        operator.call("revoke", "carol")


def _cross() -> None:
    with (
        ipcbus.connect(DEV, agent="alice", timeout=30) as alice,
        ipcbus.connect(PROD, agent="bob", timeout=30) as bob,
    ):
        for number in range(3):
            alice.send("bob@prod", f"question {number}", kind="request")
        found: list[ipcbus.Message] = []
        until(lambda: bool(_more(bob, found)) and len(found) == 3, "all have crossed")
        found[0].reply("an answer")
        found[0].ack()
        bob.flush()
        alice.receive(timeout=30)[0].ack()
        alice.flush()


def _more(client: ipcbus.Client, found: list[ipcbus.Message]) -> list[ipcbus.Message]:
    found += client.receive(8, timeout=0.1)
    return found


def _stay_in(name: str) -> None:
    """Mail that waits, in one mailbox or several, for a name or a time; that is done,
    and that was given up; with a file."""
    with (
        ipcbus.connect(name, agent="alice", timeout=30) as alice,
        ipcbus.connect(name, agent="bob", timeout=30) as bob,
    ):
        bob.join("build.*")
        file = alice.upload(os.urandom(200_000), "noise.bin")
        alice.send("bob", "done", id="done")
        bob.receive(timeout=30)[0].ack()
        alice.send("bob", "hopeless", id="hopeless")
        for _ in range(5):
            bob.receive(timeout=30)[0].nack(reason="never").result(30)
        alice.send("bob", "waits", attach=(file,), priority=7)
        alice.send("#build.main", "to a topic")
        alice.send("*", "to all", data={"n": 1}, labels=("x",))
        alice.send("later", "for a name", future=True)
        alice.send("bob", "in time", ttl=3600, thread="a-thread")


def _holds_all_kinds(told: dict[str, dict[str, Any]]) -> None:
    """The test would say nothing of what is not there."""
    dev, prod = told[DEV], told[PROD]
    assert dev["counters"].keys() >= {"acked", "dead", "relayed"}
    assert dev["mailboxes"]["@prod"]["waiting"] == 1
    assert dev["paused"]["agents"] == ["carol"]
    assert dev["dead"]
    assert dev["topics"]
    assert dev["links"][0]["grants"]["out"]
    assert prod["audit"]


def _answers(network: Network) -> dict[str, Any]:
    """What an operator is told, but for what is of the broker alone."""
    with ipcbus.connect(network.name, agent="", timeout=30) as operator:
        told, keys = operator.status(), operator.keys()
        return {
            "mailboxes": {
                n: box for n, box in told["mailboxes"].items() if box["waiting"]
            },
            "counters": {n: c for n, c in told["counters"].items() if _is_kept(n)},
            **{name: told[name] for name in ("network", "agents", "paused")},
            "names": [one._replace(last_seen=None) for one in operator.agents()],
            "topics": operator.topics(),
            "keys": sorted(one._replace(sessions=0) for one in keys),
            "dead": operator.dead(100),
            "history": operator.history(100),
            "audit": operator.call("audit", 0, 100)[0],
            "links": [
                {key: row[key] for key in ("peer", "queued", "counters", "grants")}
                for row in operator.call("links")[0]
            ],
        }


def _is_kept(counter: str) -> bool:
    """With what it counts; the others may be some seconds old in a backup."""
    return counter in DURABLE or ":" in counter


def _is_the_same_elsewhere(source: Network, backup: Path, told: dict[str, Any]) -> None:
    with new_home() as home:
        made = restored(home, source, backup)
        _has_the_same_rows(source.database, made.database)
        with home.inside():
            launch.start(made)
            assert _answers(made) == told
            _has_the_file(made)
            launch.stop(made, timeout=60)
        _has_the_same_rows(source.database, made.database)


def _has_the_file(network: Network) -> None:
    if network.name != DEV:
        return
    with ipcbus.connect(DEV, agent="bob", timeout=30) as bob:
        message = bob.fetch(1, timeout=10)[0][0]
        (file,) = message.attachments
        bob.download(file, network.folder.parent / "noise.bin")
        message.release().result(30)


def _has_the_same_rows(source: Path, copy: Path) -> None:
    facts, there = inspect(source), inspect(copy)
    assert int(there["last_seq"]) == int(facts["last_seq"]) + SEQ_GAP
    for name in ("messages", "waiting", "dead", "agents", "attachments", "schema"):
        assert there[name] == facts[name], name
    for table, columns in KEPT.items():
        query = f"SELECT {columns} FROM {table}"
        assert rows(copy, query) == rows(source, query), table
