"""What comes in: exact shapes, bounded reading, and nobody can pretend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcbus.broker.events import Action, Event, Now, Received
from ipcbus.protocol import limits
from ipcbus.protocol.codec import encode
from ipcbus.protocol.messages import Accepted, Closed, Hello, Ping, Pong
from ipcbus.transport.inbox import MOST_MESSAGES
from tests.transport.loops import Echo, Loop
from tests.transport.peers import send
from tests.waiting import until

PING = encode(Ping(7))


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [PING[0]],
        [b"", *PING],
        [*PING, b""],
        [PING[0], b"", b""],
        [b"x"] * 500,
    ],
    ids=len,
)
def test_anything_but_two_frames_is_dropped_whole_and_said(
    tmp_path: Path, frames: list[bytes]
) -> None:
    with Loop(tmp_path) as loop:
        bad, good = loop.peer(), loop.peer()
        good.hello()
        bad.frames(*frames)
        good.ping(1)
        assert "two frames" in bad.wait_for(Closed).facts["reason"]
        assert good.wait_for(Pong).number == 1
        assert loop.core.broken() == ["a message is two frames"]


def test_what_follows_a_message_of_a_wrong_shape_is_read_rightly(
    tmp_path: Path,
) -> None:
    with Loop(tmp_path) as loop:
        peer = loop.peer()
        for frames in ([b"one"], list(PING), [b"1", b"2", b"3"], list(PING)):
            peer.frames(*frames)
        until(lambda: len(loop.core.events) >= 4, "all are read")
        kinds = [type(event).__name__ for event in loop.core.events[:4]]
        assert kinds == ["Broken", "Received", "Broken", "Received"]


@pytest.mark.parametrize(
    "head", [b"", b"\xc1", b"\x90", b"\x91\x41", b"\x91\xcc\xff", b"x" * 300_000]
)
def test_two_frames_that_are_no_message_are_broken(tmp_path: Path, head: bytes) -> None:
    with Loop(tmp_path) as loop:
        peer = loop.peer()
        peer.frames(head, b"")
        assert peer.wait_for(Closed).code == "remote_protocol"
        assert len(loop.core.broken()) == 1


def test_each_message_carries_the_key_that_authenticated_it(tmp_path: Path) -> None:
    with Loop(tmp_path) as loop:
        peers = [loop.peer() for _ in range(3)]
        for number, peer in enumerate(peers):
            peer.ping(number)
        for number, peer in enumerate(peers):
            assert peer.wait_for(Pong).number == number
        found = {e.key: e.message for e in loop.core.events if isinstance(e, Received)}
        assert found == {peer.keys.public: Ping(n) for n, peer in enumerate(peers)}


class Sizes(Echo):
    """Notes how many events each turn has."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def handle(self, events: Sequence[Event], now: Now) -> list[Action]:
        self.sizes.append(len(events))
        return super().handle(events, now)


def test_a_flood_is_read_in_turns_that_are_bounded(tmp_path: Path) -> None:
    core = Sizes()
    with Loop(tmp_path, core) as loop:
        peers = [loop.peer() for _ in range(8)]
        for peer in peers:
            peer.hello()
        for number in range(400):
            for peer in peers:
                peer.ping(number)
        for peer in peers:
            assert [peer.wait_for(Pong).number for _ in range(400)] == list(range(400))
    assert max(core.sizes) <= MOST_MESSAGES


def test_a_frame_over_the_limit_ends_its_connection_and_no_other(
    tmp_path: Path,
) -> None:
    with Loop(tmp_path) as loop:
        bad, good = loop.peer(), loop.peer()
        bad.hello()
        good.hello()
        bad.frames(b"\x90", b"." * (limits.MAX_FRAME + 1))
        bad.event(zmq.EVENT_DISCONNECTED)
        good.ping(3)
        assert good.wait_for(Pong).number == 3
        until(lambda: len(loop.core.lost()) == 1, "it is lost")


def test_the_largest_body_comes_through(tmp_path: Path) -> None:
    with Loop(tmp_path) as loop:
        peer = loop.peer()
        peer.say(send(1, "bob", b"." * limits.MAX_BODY))
        assert peer.wait_for(Accepted).ref == 1


def test_a_version_that_is_not_ours_reaches_the_core(tmp_path: Path) -> None:
    with Loop(tmp_path) as loop:
        peer = loop.peer()
        peer.say(Hello(99, 0, 0, ""))
        until(lambda: bool(loop.core.events), "it is read")
        event = loop.core.events[0]
        assert isinstance(event, Received)
        assert event.message == Hello(99, 0, 0, "")


@given(st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=4), max_size=30))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_frames_from_an_authorised_key_leave_the_others_served(
    hostile_loop: Loop, messages: list[list[bytes]]
) -> None:
    bad, good = hostile_loop.peer(), hostile_loop.peer()
    for frames in messages:
        bad.frames(*frames)
    good.hello()
    good.ping(5)
    assert good.wait_for(Pong).number == 5
    for peer in (bad, good):
        peer.close()
        hostile_loop.forget(peer)


@pytest.fixture(scope="module")
def hostile_loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    with Loop(tmp_path_factory.mktemp("loop")) as loop:
        yield loop
