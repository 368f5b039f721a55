"""One client's side of the conversation with a broker. Pure: no clock, no socket.

What is unanswered outlives connections. On a new one, all of it is said again, in an
order that gives the broker each thing before what may depend on it: what became of
deliveries and which ones are still held; calls, and replies waited for; credit; sends.
Otherwise sends come before acks, so that an application which answers a message and
then acks it is never known to have acked it only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ipcbus.client.calling import Awaited, Calling
from ipcbus.client.conversation import Conversation
from ipcbus.client.intake import Intake, Make
from ipcbus.client.message import Action, BaseMessage
from ipcbus.client.outbox import Outbox
from ipcbus.client.settling import Settling
from ipcbus.errors import (
    IpcbusError,
    from_wire,
)
from ipcbus.protocol.codec import Frames, decode_broker, encode
from ipcbus.protocol.messages import (
    Accepted,
    Answer,
    Bye,
    Closed,
    Deliver,
    Pong,
    RefusedCall,
    Settled,
    Welcome,
)

UNSETTLED = "its receiver ended without an answer"


class Tracker(Conversation):
    """An agent's side of it."""

    def __init__(self, make: Make, program: str = "", prefetch: int = 256) -> None:
        super().__init__(program)
        self.outbox = Outbox()
        self.calling = Calling()
        self.settling = Settling(self._let_go)
        self.intake = Intake(make, self.settling, self.calling, prefetch)
        self._resuming = False
        self._bye: Bye | None = None

    # --- a connection begins and ends --------------------------------------

    def lost(self) -> None:
        super().lost()
        self.outbox.lost()
        self.calling.lost()
        self.intake.lost()
        self.settling.lost()

    def fail(self, error: IpcbusError) -> None:
        super().fail(error)
        self.outbox.fail(error)
        self.calling.fail(error)
        self.intake.fail(error)
        self.settling.fail(error)

    def leave(self, *, keep_leases: bool) -> None:
        """Say BYE as soon as everything else is said and answered.

        What was not read is given back. What the application took and did not settle
        stays leased with `keep_leases`; else it comes again, and the attempt counts:
        it may be the message that ends this program each time.
        """
        self.intake.stop()
        if not keep_leases:
            for message in self.intake.unanswered():
                settlement = message.settle_unseen(Action.NACK, UNSETTLED)
                if settlement is not None:
                    self.settling.waiting.append(settlement)
        self._bye = Bye(keep_leases)

    # --- the broker speaks -------------------------------------------------

    def heard(self, head: bytes, body: bytes, now: float) -> None:
        self._heard = True
        message = decode_broker(head, body)
        _HEAR[type(message)](self, message, now)

    def _welcomed(self, welcome: Welcome, now: float) -> None:
        super()._welcomed(welcome, now)
        self.calling.network = welcome.network
        self._resuming = True
        self.intake.hold_on(now)

    def _accepted(self, accepted: Accepted, now: float) -> None:
        self.outbox.accepted(accepted)

    def _delivered(self, deliver: Deliver, now: float) -> None:
        self.intake.deliver(deliver, now)

    def _settled(self, settled: Settled, now: float) -> None:
        self.settling.settled(settled, now)

    def _answered(self, answer: Answer, now: float) -> None:
        if not self.intake.answered(answer.ref, answer.value, now):
            self.calling.answered(answer)

    def _refused(self, refused: RefusedCall, now: float) -> None:
        error = from_wire(refused.code, refused.facts)
        known = (
            self.calling.refused(refused.ref, error)
            or self.outbox.refused(refused.ref, error)
            or self.settling.refused(refused.ref, error)
        )
        if not known:
            raise error  # of a CREDIT: nothing could be received on this connection

    # --- this side speaks --------------------------------------------------

    def _speak(self, most_sends: int | None) -> Iterator[Frames]:
        # What is settled is not held any more, and credit counts what is held.
        settles = list(self.settling.take(self._next_ref))
        credit = self.intake.credit(self._ref + 1)
        if credit is not None:
            self._ref += 1
            settles += self.settling.take(self._next_ref)
        resuming, self._resuming = self._resuming, False
        if resuming:
            yield from map(encode, settles)
        yield from self.calling.said(self._next_ref)
        if resuming and credit is not None:
            yield encode(credit)
        yield from self._sends(most_sends)
        if not resuming:
            yield from map(encode, settles)
            if credit is not None:
                yield encode(credit)
        if self._bye is not None and not self.is_busy():
            bye, self._bye = self._bye, None
            self.left = True
            yield encode(bye)

    def _sends(self, most: int | None) -> Iterator[Frames]:
        left = len(self.outbox.waiting) if most is None else most
        while left > 0:
            send = self.outbox.next(self._ref + 1, left)
            if send is None:
                return
            self._ref += 1
            left -= len(send.drafts)
            yield encode(send, self.welcome.minor if self.welcome else 0)

    def sends_waiting(self) -> int:
        return len(self.outbox.waiting)

    def can_say(self) -> bool:
        """Whether `say` would find something new, put there by another thread."""
        return self.greeted and (bool(self.settling.waiting) or self.outbox.is_open())

    def _let_go(self, messages: Iterable[BaseMessage]) -> None:
        self.intake.let_go(messages)

    def is_busy(self) -> bool:
        """Whether sends, settlements or a change of credit are unanswered."""
        outbox, settling = self.outbox, self.settling
        return self.intake.is_asking() or bool(
            outbox.waiting or outbox.flying or settling.waiting or settling.flying
        )

    def wait_for(self, awaited: Awaited) -> None:
        """The reply goes to `awaited`; it may be here already, among the unread."""
        found = self.intake.find_reply(awaited.id)
        if found is None:
            self.calling.wait_for(awaited)
        else:
            awaited.resolve(found)

    def has_work(self) -> bool:
        """Whether somebody waits for something that a broker must do first."""
        return bool(
            self.outbox.waiting
            or self.settling.has_work()
            or self.calling.is_busy()
            or self.intake.is_fetching()
        )

    def give_up(self, awaited: Awaited) -> None:
        """Nobody waits for this reply any more. One that has just come goes back."""
        self.calling.give_up(awaited)
        if awaited.done() and awaited.error() is None:
            self.settling.release(awaited.value())

    # --- time --------------------------------------------------------------

    def tick(self, now: float) -> None:
        self.intake.tick(now)
        super().tick(now)

    def wake_at(self) -> float:
        return min(super().wake_at(), self.intake.wake_at())

    def check_invariants(self) -> None:
        self.outbox.check_invariants()
        self.intake.check_invariants()


_HEAR: dict[type[Any], Callable[[Tracker, Any, float], None]] = {
    Welcome: Tracker._welcomed,
    Closed: Tracker._closed,
    Pong: Tracker._pong,
    Accepted: Tracker._accepted,
    Deliver: Tracker._delivered,
    Settled: Tracker._settled,
    Answer: Tracker._answered,
    RefusedCall: Tracker._refused,
}
