"""A disk that fails: the broker stops and has answered nothing that it cannot keep."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ipcbus
from ipcbus.client.pending import Pending
from ipcbus.errors import NoBroker, StoreFailed, TimedOut
from ipcbus.networks import Network
from ipcbus.transport import launch

FAILING_BROKER = Path(__file__).with_name("failing_broker.py")
BEFORE = 50
AFTER = 20

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_an_io_error_stops_the_broker_before_it_has_answered(
    network: Network, tmp_path: Path, operation: str, show: Callable[[str], None]
) -> None:
    trigger = tmp_path / "fail"
    child = launch.spawn(network, command=_command(trigger, operation), detached=False)
    assert child.stdout is not None
    with child.stdout as pipe:
        assert select.select([pipe], [], [], 30)[0], "it starts"
        launch.said(network, pipe.readline())
    with ipcbus.connect("dev", agent="bob", start=False) as bob:
        assert bob.agent == "bob"
    with ipcbus.connect("dev", agent="alice", start=False) as alice:
        accepted = [alice.send("bob", str(n), id=f"m{n}").id for n in range(BEFORE)]
        trigger.touch()
        asked = [alice.submit("bob", str(n), id=f"x{n}") for n in range(AFTER)]
        exit_code = child.wait(30)
        answered = [one for one in asked if _is_answered(one)]
        with pytest.raises(NoBroker):
            alice.send("bob", "is anybody there?", timeout=0.5)
    assert exit_code == StoreFailed.exit_code
    assert answered == [], "no send was accepted or refused"
    trigger.unlink()
    got = _all_of(network, len(accepted))
    assert got[:BEFORE] == accepted
    stored = [id_ for id_ in got[BEFORE:] if id_.startswith("x")]
    show(f"EIO at {operation}: of {AFTER} unanswered sends {len(stored)} were stored")


def test_clients_go_on_with_the_next_broker_after_an_io_error(
    network: Network, tmp_path: Path
) -> None:
    trigger = tmp_path / "fail"
    info = launch.start(network, command=_command(trigger, "sync"))
    with (
        ipcbus.connect("dev", agent="alice") as alice,
        ipcbus.connect("dev", agent="bob") as bob,
    ):
        trigger.touch()
        # The client starts a sound broker and says it again: the caller sees a delay.
        receipts = [alice.submit("bob", str(n), id=f"m{n}") for n in range(AFTER)]
        for receipt in receipts:
            receipt.result(30)
        assert alice.epoch > info.epoch
        got: list[str] = []
        while len(got) < AFTER:
            found = bob.receive(AFTER, timeout=30)
            assert found, "what was accepted comes"
            got += [message.id for message in found]
            for message in found:
                message.ack()
        bob.flush()
        assert got == [f"m{n}" for n in range(AFTER)], "once each, in order"


def _command(trigger: Path, operation: str) -> launch.Command:
    def command(network: Network) -> list[str]:
        script = [sys.executable, "-P", str(FAILING_BROKER)]
        return [*script, network.name, str(trigger), operation]

    return command


def _is_answered(pending: Pending[ipcbus.Receipt]) -> bool:
    try:
        pending.result(0)
    except (TimedOut, NoBroker):
        return False
    return True


def _all_of(network: Network, least: int) -> list[str]:
    """Everything in bob's mailbox, once a sound broker serves."""
    got: list[str] = []
    with ipcbus.connect("dev", agent="bob", timeout=30) as bob:
        while True:
            found, remaining = bob.fetch(100, timeout=10 if len(got) < least else 0)
            got += [message.id for message in found]
            for message in found:
                message.ack()
            if not found or not remaining:
                bob.flush()
                return got
