"""A volatile network whose broker is killed: mail is lost, as promised, and no more."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.errors import StaleLease, StoreFull, UnknownRecipient
from ipcbus.networks import BrokerInfo, Network
from ipcbus.transport import launch
from tests.waiting import until

MIB = 1024 * 1024
ROOM = 16 * MIB
BODY = 32 * 1024

pytestmark = pytest.mark.chaos


@pytest.fixture
def scratch(home: object) -> Network:
    """A volatile network that nobody serves yet."""
    network = networks.create("scratch")
    network.save(network.saved()._replace(store="memory"))
    return network


def kill(info: BrokerInfo) -> None:
    """kill -9, and see it dead: the kernel has let go of the lock."""
    fd = os.pidfd_open(info.pid)
    os.kill(info.pid, signal.SIGKILL)
    until(lambda: not info.is_alive(), "it is dead")
    os.close(fd)


def test_mail_is_gone_and_names_keys_and_topics_are_known(scratch: Network) -> None:
    first = launch.start(scratch)
    with (
        ipcbus.connect("scratch", agent="alice") as alice,
        ipcbus.connect("scratch", agent="bob") as bob,
    ):
        bob.join("builds.*")
        alice.send("bob", "before", id="m1")
        assert alice.status()["volatile"] is True
    kill(first)
    with (
        ipcbus.connect("scratch", agent="alice") as alice,
        ipcbus.connect("scratch", agent="bob") as bob,
    ):
        assert alice.epoch == first.epoch + 1
        assert [agent.name for agent in alice.agents()] == ["alice", "bob"]
        assert bob.receive(timeout=0.2) == []
        assert alice.history().records == []
        assert alice.status()["counters"].get("accepted", 0) == 0
        alice.send("#builds.linux", "after")
        alice.send("bob", "another with that id", id="m1")
        got = [message.body for _ in "12" for message in bob.receive(1, timeout=30)]
        assert got == ["after", "another with that id"]
        with pytest.raises(UnknownRecipient):
            alice.send("carol", "nobody")


def test_what_was_not_accepted_is_sent_again_and_what_was_is_lost(
    scratch: Network,
) -> None:
    """The broker is frozen, so that what is sent last has no answer when it dies."""
    first = launch.start(scratch)
    with (
        ipcbus.connect("scratch", agent="alice") as alice,
        ipcbus.connect("scratch", agent="bob") as bob,
    ):
        for number in range(20):
            alice.send("bob", f"accepted {number}")
        os.kill(first.pid, signal.SIGSTOP)
        sent = [alice.submit("bob", f"unanswered {number}") for number in range(20)]
        assert not any(pending.done() for pending in sent)
        kill(first)
        assert [pending.result(60).state for pending in sent] == ["accepted"] * 20
        got: list[str] = []
        while len(got) < 20:
            some = bob.receive(20, timeout=30)
            assert some, got
            got += [str(message.body) for message in some]
            for message in some:
                message.ack().result(30)
        assert got == [f"unanswered {number}" for number in range(20)]
        assert bob.receive(timeout=0.2) == []
        assert alice.epoch == first.epoch + 1


def test_an_ack_of_a_message_that_died_with_its_broker_settles_no_other(
    scratch: Network,
) -> None:
    first = launch.start(scratch)
    with (
        ipcbus.connect("scratch", agent="alice") as alice,
        ipcbus.connect("scratch", agent="bob") as bob,
    ):
        alice.send("bob", "old")
        (old,) = bob.receive(timeout=30)
        kill(first)
        alice.send("bob", "new")
        with pytest.raises(StaleLease):
            old.ack().result(30)
        (new,) = bob.receive(timeout=30)
        assert (new.body, new.attempt) == ("new", 1)
        assert new.seq > old.seq
        new.ack().result(30)


def test_nothing_of_a_message_is_in_its_folder(scratch: Network) -> None:
    launch.start(scratch)
    body = "words that no file of this network has"
    with (
        ipcbus.connect("scratch", agent="alice") as alice,
        ipcbus.connect("scratch", agent="bob") as bob,
    ):
        for _ in range(50):
            alice.send("bob", body)
        for message in bob.receive(10, timeout=30):
            message.ack().result(30)
        files = [path for path in scratch.folder.rglob("*") if path.is_file()]
        assert scratch.database in files
        assert not [path for path in files if body.encode() in path.read_bytes()]


def test_full_memory_refuses_sends_takes_acks_and_loses_nothing(
    scratch: Network, show: Callable[[str], None]
) -> None:
    scratch.save(scratch.saved()._replace(settings={"store_bytes": ROOM}))
    info = launch.start(scratch)
    with (
        ipcbus.connect("scratch", agent="alice") as alice,
        ipcbus.connect("scratch", agent="bob") as bob,
    ):
        accepted = _fill(alice)
        got: list[str] = []
        while len(got) < len(accepted):
            found = bob.receive(64, timeout=30)
            assert found, f"{len(got)} of {len(accepted)} came"
            for message in found:
                message.ack().result(30)
                got.append(message.id)
        assert got == accepted
        until(lambda: _fits(alice), "there is room again")
        assert {alice.epoch, bob.epoch} == {info.epoch}, "it did not start over"
    show(f"{ROOM // MIB} MiB took {len(accepted)} messages of {BODY // 1024} KiB")


def _fill(client: ipcbus.Client) -> list[str]:
    accepted = []
    for number in range(2 * ROOM // BODY):
        try:
            accepted.append(_send(client, number))
        except StoreFull:
            return accepted
    pytest.fail("it is bounded by nothing")


def _send(client: ipcbus.Client, number: int) -> str:
    body = number.to_bytes(4, "little") * (BODY // 4)
    return client.send("bob", body, id=f"m{number}", timeout=30).id


def _fits(client: ipcbus.Client) -> bool:
    try:
        client.send("bob", b"x" * BODY, timeout=30)
    except StoreFull:
        return False
    return True
