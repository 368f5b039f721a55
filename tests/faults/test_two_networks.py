"""Two networks of one machine: with the keys of one nobody gets into the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import zmq

import ipcbus
from ipcbus import networks
from ipcbus.errors import (
    IpcbusError,
    NoBroker,
    NoSuchMessage,
    NotPermitted,
    UnknownRecipient,
)
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import keys, launch
from tests.faults.crew import status
from tests.transport.peers import Peer

SECRET = "the launch code is 8841"

pytestmark = pytest.mark.security


class Two(NamedTuple):
    """`dev`, whose keys are known to the test's villain, and `prod`, where mail is."""

    dev: Network
    prod: Network
    dev_info: BrokerInfo
    prod_info: BrokerInfo
    secret_id: str
    sha256: str


@pytest.fixture
def two(home: Path) -> Two:
    dev, prod = networks.create("dev"), networks.create("prod")
    dev_info, prod_info = launch.start(dev), launch.start(prod)
    for name in ("alice", "bob"):
        ipcbus.connect("dev", agent=name).close()
    ipcbus.connect("prod", agent="bob").close()
    with ipcbus.connect("prod", agent="alice") as alice:
        attachment = alice.upload(SECRET.encode(), "secret.txt")
        receipt = alice.send("bob", SECRET, attach=(attachment,))
    sha256 = hashlib.sha256(SECRET.encode()).hexdigest()
    return Two(dev, prod, dev_info, prod_info, receipt.id, sha256)


def test_no_key_of_one_network_opens_the_other(two: Two) -> None:
    before = status(two.prod)["sessions"]
    for name in ("operator.key", "keys/alice.key", "keys/bob.key"):
        pair = keys.load(two.dev.folder / name)
        peer = Peer(two.prod_info.endpoint, two.prod_info.server_key, pair)
        try:
            assert peer.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400, name
            assert peer.hears_nothing(0)
        finally:
            peer.close()
    assert status(two.prod)["sessions"] == before


def test_a_client_with_the_others_key_is_told_that_it_may_not(
    two: Two, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = keys.load(two.dev.key_path("alice"))
    monkeypatch.setenv("IPCBUS_HOME", str(tmp_path))
    joined = networks.create("prod")
    joined.save(
        networks.Saved(
            remote=two.prod_info.endpoint, server_key=two.prod_info.server_key
        )
    )
    networks.write_private(joined.key_path("alice"), _json(own))
    with pytest.raises(IpcbusError) as refusal:
        ipcbus.connect("prod", agent="alice")
    assert refusal.value.code == "not_permitted"
    assert own.secret not in str(refusal.value)


def test_the_others_server_is_not_taken_for_ones_own(two: Two) -> None:
    """A client of dev that is led to prod's port: the server's key is not dev's."""
    info = two.dev_info._replace(endpoint=two.prod_info.endpoint)
    peer = Peer(info.endpoint, info.server_key, keys.load(two.dev.key_path("alice")))
    try:
        peer.event(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        assert peer.hears_nothing(0)
    finally:
        peer.close()


def _json(pair: keys.KeyPair) -> bytes:
    return json.dumps(pair._asdict()).encode()


Attempt = Callable[[ipcbus.Client, Two], object]

NOTHING_THERE: dict[str, Attempt] = {
    "show": lambda bob, two: bob.show(two.secret_id),
    "an attachment": lambda bob, two: bob.call("blob_read", two.sha256, 0),
}
EMPTY: dict[str, Attempt] = {
    "history": lambda bob, two: bob.history().records,
    "search": lambda bob, two: bob.search("launch").records,
    "peek": lambda bob, two: bob.peek().records,
    "dead letters": lambda bob, two: bob.dead().letters,
    "receive": lambda bob, two: bob.receive(timeout=0),
    "topics": lambda bob, two: bob.topics(),
}


def test_an_agent_of_the_same_name_sees_nothing_of_the_other(two: Two) -> None:
    with ipcbus.connect("dev", agent="bob") as bob:
        for what, attempt in NOTHING_THERE.items():
            try:
                found = attempt(bob, two)
            except (NoSuchMessage, NotPermitted):
                continue
            pytest.fail(f"{what}: {found}")
        for what, attempt in EMPTY.items():
            assert attempt(bob, two) == [], what


def test_an_operator_of_one_sees_nothing_of_the_other(two: Two) -> None:
    ipcbus.connect("prod", agent="carol").close()
    with ipcbus.connect("dev", agent="") as operator:
        assert {agent.name for agent in operator.agents()} == {"alice", "bob"}
        assert operator.history().records == []
        assert operator.search("launch").records == []
        told = operator.status()
    assert told["mailboxes"].keys() <= {"alice", "bob"}
    assert told["counters"].get("accepted", 0) == 0
    assert SECRET not in repr(told)


def test_an_address_of_the_other_network_is_no_address_here(two: Two) -> None:
    with ipcbus.connect("dev", agent="alice") as alice:
        for to in ("bob@prod", "nobody@prod"):
            with pytest.raises(UnknownRecipient):
                alice.send(to, "let me in")
    assert status(two.prod)["counters"]["accepted"] == 1


def test_an_invitation_to_one_does_not_open_the_other(two: Two) -> None:
    """The one-time key of an invitation is known to its own network only."""
    pair = keys.generate()
    with ipcbus.connect("dev", agent="") as operator:
        operator.call("invite", "mallory", pair.public, 60_000)
    peer = Peer(two.prod_info.endpoint, two.prod_info.server_key, pair)
    try:
        assert peer.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400
    finally:
        peer.close()


def test_the_end_of_one_is_not_the_end_of_the_other(two: Two) -> None:
    launch.stop(two.dev)
    with pytest.raises(NoBroker):
        ipcbus.connect("dev", agent="bob", start=False)
    with ipcbus.connect("prod", agent="bob") as bob:
        (message,) = bob.receive(timeout=10)
        assert message.body == SECRET
        message.ack().result(10)
