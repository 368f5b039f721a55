"""Acks share the commit of the turn that follows; a lone one has its own."""

from __future__ import annotations

from pathlib import Path

from ipcbus.broker.events import Action, Received, Say
from ipcbus.protocol.messages import Accepted, Settle, Settled
from tests.transport.loops import Loop, Script, watched
from tests.transport.peers import send


def settles(event: Received) -> list[Action] | None:
    """A core whose acks are confirmed; it writes in every turn."""
    if isinstance(event.message, Settle):
        return [Say(event.peer, Settled(event.message.ref, []))]
    return None


def test_an_ack_is_committed_and_confirmed_although_nothing_follows(
    tmp_path: Path,
) -> None:
    commits: list[int] = []
    with Loop(
        tmp_path, Script(settles), store=watched(lambda: commits.append(1))
    ) as loop:
        peer = loop.peer()
        peer.hello()
        before = len(commits)
        peer.say(Settle(1, [1, 1, 1], [], [], []))
        assert peer.hear() == Settled(1, [])
        assert len(commits) > before


def test_an_ack_rides_with_the_turn_that_follows(tmp_path: Path) -> None:
    commits: list[int] = []
    with Loop(
        tmp_path, Script(settles), store=watched(lambda: commits.append(1))
    ) as loop:
        peer = loop.peer()
        peer.hello()
        rode = 0
        for ref in range(50):
            before = len(commits)
            peer.say(Settle(ref, [1, 1, 1], [], [], []))
            peer.say(send(ref, "bob", b"x"))
            heard = [peer.hear(), peer.hear()]
            assert heard == [Settled(ref, []), Accepted(ref, [])]
            rode += len(commits) - before == 1
        assert rode > 25  # the rest met a timer, or upkeep
