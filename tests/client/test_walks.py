"""Random walks: the link is cut anywhere, and nothing is lost or doubled."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.client.bus import Bus

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "submit",
                "speak",
                "arrive",
                "hear",
                "cut",
                "connect",
                "takeover",
                "take",
                "ack",
                "pause",
                "bob",
                "fetch",
            ]
        ),
        st.integers(0, 4),
    ),
    max_size=80,
)


@given(STEPS)
def test_every_send_is_accepted_once_and_in_order_wherever_it_is_cut(
    steps: list[tuple[str, int]],
) -> None:
    """And everything that was sent is received in order; twice only unsettled."""
    bus = Bus()
    walk = Walk(bus)
    for name, number in steps:
        getattr(walk, name)(number)
        bus.alice.tracker.check_invariants()
        bus.bob.tracker.check_invariants()
    walk.finish()


class Walk:
    """A walk through everything that two clients and a network can do."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.sent = 0
        self.under_way: list[Any] = []
        self.held: list[Any] = []
        self.seen: list[int] = []
        self.fetches: list[Any] = []

    def submit(self, number: int) -> None:
        for _ in range(number):
            self.under_way.append(self.bus.alice.submit("bob", str(self.sent)))
            self.sent += 1

    def speak(self, _: int) -> None:
        self.bus.alice.speak()

    def arrive(self, number: int) -> None:
        self.bus.alice.arrive(number)

    def hear(self, _: int) -> None:
        self.bus.alice.hear()

    def connect(self, _: int) -> None:
        self.bus.alice.connect()
        self.bus.bob.connect()

    def cut(self, number: int) -> None:
        # A delivery to a session that is dead and not found out is out of order, as
        # any whose lease is lost; so bob's broker notices, and alice's may not.
        if number % 2:
            self.bus.alice.cut(heard=number, told=number > 2)
        else:
            self.bus.bob.cut(heard=number)

    def takeover(self, _: int) -> None:
        self.bus.broker.takeover()

    def bob(self, number: int) -> None:
        if number == 0:
            self.bus.bob.read()
        elif number == 1:
            self.bus.bob.speak()
        elif number == 2:
            self.bus.bob.arrive(2)
        else:
            self.bus.bob.hear()

    def take(self, number: int) -> None:
        self._took(self.bus.bob.take(number))

    def fetch(self, number: int) -> None:
        self.fetches.append(self.bus.bob.fetch(number + 1))

    def _took(self, messages: list[Any]) -> None:
        for message in messages:
            self.seen.append(int(message.body))
            self.held.append(message)

    def _look_at_fetches(self) -> None:
        for fetch in [fetch for fetch in self.fetches if fetch.done()]:
            self.fetches.remove(fetch)
            self._took(fetch.result(0)[0])

    def ack(self, number: int) -> None:
        self._look_at_fetches()
        for message in self.held[:number]:
            message.ack()
        del self.held[:number]

    def pause(self, number: int) -> None:
        self.bus.clock.advance(number)
        self.bus.broker.turn()
        self.bus.alice.tick()
        self.bus.bob.tick()

    def finish(self) -> None:
        bus = self.bus
        for _ in range(self.sent + 4):
            bus.bob.read()
            bus.broker.settle_down()
            # Sessions that were cut without a word are found out by their silence.
            self.pause(3)
            bus.broker.settle_down()
            self._look_at_fetches()
            self._took(bus.bob.take())
            self.ack(len(self.held))
        bus.broker.settle_down()
        states = {sending.result(0).state for sending in self.under_way}
        assert states <= {"accepted"}
        assert set(self.seen) == set(range(self.sent))
        firsts = list(dict.fromkeys(self.seen))
        assert firsts == sorted(firsts), "first deliveries keep the order of sending"
        status = bus.bob.call("whoami")
        bus.broker.settle_down()
        assert status.result(0)[0][3] == 0, "and nothing is left"
