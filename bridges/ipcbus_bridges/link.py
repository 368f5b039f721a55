"""One direction of a bridge, as a state machine: events in, actions out. PURE.

    source --Delivered--> [rules] --HandOver--> destination
    source <--Settle----- [ verdict of each ] <-- Verdicts

It keeps nothing that matters: mail waits at the source until it is settled, and the
destination knows what it has. So whenever an end is lost, what was under way is given
back or comes back by itself, and all begins anew. Each beginning asks the source for
the lead, which makes a new epoch: whatever an older beginning still has under way, the
destination refuses.

Order holds for each stream (sender, recipient, priority): of a stream only one batch is
under way at a time, and when one message of it is put off, so is all that follows.

States, and what brings one to the next (`why` says the reason):

    connecting   an end is not there yet            both are -> asking
    asking       both ends; who leads is not known  led -> running, not led -> standby
    running      carries                            an end lost -> backoff
    backoff      an end was lost; it tries again    both are there -> asking
    standby      another bridge leads               led -> running
    paused       its owner stopped it               resumed -> running
    blocked      running, but all is put off        something passes -> running
    fenced       another bridge took over           asks again -> standby or running
    identity_changed, config_error                  an end says no; tried again later
"""

from __future__ import annotations

from typing import Any, Final

from ipcbus_bridges.actions import (
    Action,
    Credit,
    Fetch,
    HandOver,
    Lead,
    Meet,
    Report,
    Settle,
)
from ipcbus_bridges.groups import Groups
from ipcbus_bridges.moving import Item, Moving, Stream
from ipcbus_bridges.rates import Buckets
from ipcbus_bridges.rules import Decision, LinkRules, Terms
from ipcbus_bridges.streams import Streams
from ipcbus_bridges.wording import told

CREDIT: Final = 4096
CREDIT_BYTES: Final = 16 * 1024 * 1024
"""What may be under way at once: bounds the memory of a bridge."""

ASK_MS: Final = 1_000
"""Between two questions for the lead, and between two reports."""


class Link:
    """Attributes:
    actions: what is to be done, in order; the caller takes it out.
    state, why, since: see above; UTC ms.
    skew: the source's clock minus ours, in ms: times in headers are the source's.
    """

    def __init__(self, rules: LinkRules, terms: Terms, moving: Moving) -> None:
        self.source = rules.source
        self.destination = rules.destination
        self.actions: list[Action] = []
        self.skew = 0
        self.state, self.why, self.since = "connecting", "", 0
        self._rules = rules
        self._terms = terms
        self.moving = moving
        self._buckets = Buckets()
        self._up = {self.source: False, self.destination: False}
        self._epoch = 0
        self._credited = False
        self._streams = Streams()
        self._ref = 0
        self._next_ask = 0
        self._next_report = 0
        self._asked = False
        self._outdated = False  # it was asked with other terms than those of now

    # --- ends come and go ----------------------------------------------------------

    def up(self, network: str, now: int) -> None:
        """An end is connected; it knows of nothing that was before."""
        self._up[network] = True
        self._forget(release=network != self.source)
        if all(self._up.values()):
            self._enter("asking", "", now)
            self.actions.append(Meet())
        else:
            missing = next(name for name, there in self._up.items() if not there)
            self._enter(self.state, self.why or f"{missing} is not there", now)

    def down(self, network: str, reason: str, now: int) -> None:
        self._up[network] = False
        self._forget(release=network != self.source)
        state = "connecting" if self.state == "connecting" else "backoff"
        self._enter(state, f"{network}: {reason}", now)

    def met(self, keep_ms: int, now: int) -> None:
        """The ends know each other; the destination knows ids for `keep_ms`."""
        if not all(self._up.values()):
            return
        if self._terms.hold_ms >= keep_ms:
            hours = keep_ms // 3_600_000
            reason = (
                f"hold_for must be less than the {hours} h for which "
                f"{self.destination} knows ids again"
            )
            self._enter("config_error", reason, now)
            return
        self._ask(now)

    def led(self, leading: bool, epoch: int, paused: bool, now: int) -> None:
        self._asked = False
        if not all(self._up.values()):
            return
        if leading and self._outdated:
            self._ask(now)
        elif leading:
            self._epoch = epoch
            self._credited = True
            self._enter("running", "", now)
            self.actions.append(Credit(CREDIT, CREDIT_BYTES))
            self._pump()
        else:
            why = "by its owner" if paused else "another bridge leads"
            self._enter("paused" if paused else "standby", why, now)

    def refused(self, state: str, reason: str, now: int) -> None:
        """An end would not meet, or give the lead."""
        self._asked = False
        self._forget(release=True)
        self._enter(state, reason, now)

    def reported(self, leading: bool, paused: bool, now: int) -> None:
        """What the source answered to a report."""
        if not self._epoch or not all(self._up.values()):
            return
        if not leading and paused:
            self._forget(release=True)
            self._enter("paused", "by its owner", now)
        elif not leading:
            self._fence("another bridge leads", now)
        elif paused and self.state != "paused":
            self._enter("paused", "by its owner", now)
            self._credited = False
            self.actions.append(Credit(0, 0))
            self._settle(self._streams.release(flying=False))
        elif not paused and self.state == "paused":
            self._enter("running", "", now)
            self._credited = True
            self.actions.append(Credit(CREDIT, CREDIT_BYTES))

    # --- messages -------------------------------------------------------------------

    def delivered(
        self,
        seqs: list[int],
        attempts: list[int],
        headers: list[Any],
        bodies: list[bytes],
        now: int,
    ) -> None:
        """Egress mail: the rules decide, what they carry is handed over."""
        groups = Groups()
        put_off: dict[Stream, int] = {}
        for seq, attempt, header, body in zip(
            seqs, attempts, headers, bodies, strict=True
        ):
            if self._streams.renew(seq, attempt):
                continue
            stream = (header.sender, header.to, header.priority)
            if not self._credited:
                groups.add("released", "", "", "", 0, seq, attempt)
                continue
            if delay := put_off.get(stream) or self._streams.delay(stream):
                put_off[stream] = delay
                groups.add("deferred", "", "", "", delay, seq, attempt)
                continue
            decision = self.moving.decide(self._rules, header, body)
            stop = self._stop(decision, header, now)
            if stop is None:
                self._streams.put(
                    self.moving.item(
                        self._rules,
                        seq,
                        attempt,
                        stream,
                        header,
                        body,
                        decision,
                        now + self.skew,
                    )
                )
                continue
            outcome, status, reason, delay = stop
            if delay:
                put_off[stream] = delay
            groups.add(outcome, decision.rule, status, reason, delay, seq, attempt)
        self._settle(groups, put_off)
        self._pump()

    def _stop(
        self, decision: Decision, header: Any, now: int
    ) -> tuple[str, str, str, int] | None:
        """Why a message does not go on: outcome, status, reason, delay in ms."""
        if not decision.carry:
            # Of a topic it only takes what its rules want; nobody waits for it.
            outcome = "filtered" if header.to[:1] == "#" else "refused"
            return outcome, decision.status, decision.reason, 0
        late = self.moving.is_late(decision, header, now + self.skew)
        if late:
            return "refused", "4.4.7", late, 0
        rate = decision.options.rate
        if rate is None:
            return None
        wait = self._buckets.take(decision.rule, rate, header.sender, header.to, now)
        if not wait:
            return None
        if rate.exceed == "refuse":
            reason = f"rule {decision.rule} of the bridge lets no more through now"
            return "refused", "4.7.0", reason, 0
        return "deferred", "", "", wait

    def taken(self, ref: int) -> None:
        """The source has committed a settlement."""
        self._streams.taken(ref)

    def verdicts(self, ref: int, exceptions: list[list[Any]], now: int) -> None:
        """What the destination says of a batch."""
        judged = self._streams.judge(ref, exceptions)
        self._blocked(judged.why, now)
        if judged.passed and self.state == "blocked":
            self._enter("running", "", now)
        self._settle(judged.groups, judged.put_off)
        self._pump()

    def unwanted(self, reason: str, now: int) -> None:
        """A hand-over or settlement was refused as a whole: somebody else leads."""
        self._fence(reason, now)

    def awaits(self, item: Item) -> bool:
        """Whether the attachments of a message are still wanted."""
        return self._streams.is_fetched(item)

    def fetched(
        self, item: Item, problem: str, now: int, *, later: bool = False
    ) -> None:
        """The attachments of a message are there, or cannot be, or only `later`."""
        judged = self._streams.fetched(item, problem, later=later)
        if judged is not None:
            self._blocked(judged.why, now)
            self._settle(judged.groups, judged.put_off)
            self._pump()

    # --- rules change, time passes ------------------------------------------------

    def reload(self, rules: LinkRules, terms: Terms, now: int) -> None:
        """Other rules from now on. What is not under way is judged again.

        What the source sends before it knows of that must not overtake what it gets
        back: it is given back too, until the lead is given anew.
        """
        self.moving.problem = ""
        self._rules, self._terms = rules, terms
        if self._credited:
            self._credited = False
            self.actions.append(Credit(0, 0))
            self._settle(self._streams.release(flying=False))
        if self._asked:
            self._outdated = True
        elif self._epoch and all(self._up.values()):
            self._ask(now)

    def config_error(self, reason: str) -> None:
        """A reload failed: the old rules go on, and the state says so."""
        self.moving.problem = told(reason)

    def tick(self, now: int) -> None:
        if self._next_report > now + ASK_MS:  # the clock was put back
            self._next_report = self._next_ask = now
        there = all(self._up.values())
        waiting = self.state in (
            "standby",
            "fenced",
            "identity_changed",
            "config_error",
        )
        if self.state == "paused" and not self._epoch:
            waiting = True
        if there and waiting and not self._asked and now >= self._next_ask:
            self._next_ask = now + ASK_MS
            if self.state in ("fenced", "identity_changed", "config_error"):
                self.actions.append(Meet())
            else:
                self._ask(now)
        if now >= self._next_report:
            self._report(now)

    def wake_at(self) -> int:
        """When `tick` wants to be called, in ms."""
        return self._next_report

    def status(self, now: int) -> dict[str, Any]:
        """The link for people and for the brokers, plain data."""
        flying, waiting = self._streams.count()
        return {
            "source": self.source,
            "destination": self.destination,
            "state": self.state,
            "since_ms": self.since,
            "reason": self.why,
            "epoch": self._epoch,
            "in_flight": flying,
            "waiting": waiting,
            "rates": self._buckets.left(now),
            **self.moving.facts(self._rules),
        }

    # --- within ----------------------------------------------------------------------

    def _ask(self, now: int) -> None:
        self._asked, self._outdated = True, False
        self._next_ask = now + ASK_MS
        self.actions.append(Lead(self.moving.terms(self._rules, self._terms)))

    def _enter(self, state: str, why: str, now: int) -> None:
        why = told(why)
        if (state, why) == (self.state, self.why):
            return
        if state != self.state or not self.since:
            self.since = now
        self.state, self.why = state, why
        self._report(now)

    def _blocked(self, why: str, now: int) -> None:
        if why and self.state == "running":
            self._enter("blocked", why, now)

    def _report(self, now: int) -> None:
        self._next_report = now + ASK_MS
        self.actions.append(Report(self.status(now)))

    def _fence(self, reason: str, now: int) -> None:
        # If it was the destination that said so, the source still holds for us what it
        # gave; if it was the source, it refuses this too, and no harm is done.
        self._forget(release=True)
        self._enter("fenced", reason, now)
        self._next_ask = now + ASK_MS

    def _forget(self, *, release: bool) -> None:
        """Begin anew: nothing is under way. `release`: the source is still there, and
        gets back what it gave."""
        if release and self._epoch and self._up[self.source]:
            self.actions.append(Credit(0, 0))
            self._settle(self._streams.release(flying=True))
        self._streams.clear()
        self._asked = False
        self._credited = False
        self._epoch = 0

    def _pump(self) -> None:
        """Hand over what waits, in as few batches as the bounds allow."""
        while True:
            self._ref += 1
            batch, fetches = self._streams.take(self._ref)
            self.actions += [Fetch(item) for item in fetches]
            if not batch:
                return
            moves, bodies = [i.move for i in batch], [i.body for i in batch]
            self.actions.append(HandOver(self._ref, self._epoch, moves, bodies))

    def _settle(self, groups: Groups, put_off: dict[Stream, int] | None = None) -> None:
        """Tell the source what became of messages."""
        for part in groups.parts():
            self._ref += 1
            self._streams.put_off(self._ref, put_off or {})
            self.actions.append(Settle(self._ref, part))
