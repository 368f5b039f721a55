"""A link at work: a thread of its own with two ends of its own.

A link's thread takes events from a queue, hands them to the pure `Link`, and carries
out what it answers. Nothing here waits for a network: ends answer when they can.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import ipcbus
from ipcbus import links
from ipcbus_bridges.actions import (
    Credit,
    Fetch,
    HandOver,
    Lead,
    Meet,
    Report,
    Settle,
)
from ipcbus_bridges.attachments import Brought, Fetches, bring
from ipcbus_bridges.ends import Done, End
from ipcbus_bridges.link import ASK_MS, Link
from ipcbus_bridges.moving import Item, Moving
from ipcbus_bridges.presence import Presence
from ipcbus_bridges.rules import LinkRules, Terms
from ipcbus_bridges.wording import told

AT_ONCE: Final = 64
"""Events that are looked at before what they led to is done."""

Say = Callable[[str], None]


class LinkRunner:
    """Runs one link until it is stopped, or breaks; then `keeping` makes another one.

    Args:
        say: told a line when its state changes.
        reload: called when the owner wants the rules read again.
    """

    def __init__(
        self,
        source: End,
        destination: End,
        rules: LinkRules,
        terms: Terms,
        say: Say,
        reload: Callable[[], object],
        rules_said: dict[str, Any],
    ) -> None:
        self.link = Link(rules, terms, Moving(rules_said))
        self.source, self.destination = rules.source, rules.destination
        self.way = f"{rules.source} -> {rules.destination}"
        self._ends = {rules.source: source, rules.destination: destination}
        self._source, self._destination = source, destination
        self._presence = Presence(source, destination, rules, self._put)
        self._fetches = Fetches(self._bring, self._fetched)
        self._say = say
        self._reload = reload
        self._reloads: int | None = None
        self._said = ""
        self._process = links.this_process()
        self._events: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]] = (
            SimpleQueue()
        )
        self._stopping = False

    def run(self) -> None:
        """Until it is stopped. Raises whatever broke it."""
        try:
            for name, end in self._ends.items():
                end.open(lambda event, name=name: self._put(self._told, name, event))  # type: ignore[misc]
            while not self._stopping:
                # No longer than that, for the clock may be put back meanwhile.
                self._step(min(max(0, self.link.wake_at() - _now()), ASK_MS) / 1000)
        except Exception as error:
            self._last_words(error)
            raise
        finally:
            for end in self._ends.values():
                with suppress(Exception):  # or the other one would stay open
                    end.close()

    def stop(self) -> None:
        """End it: what is under way comes again."""
        self._put(self._stop)

    def reload(self, rules: LinkRules, terms: Terms, said: dict[str, Any]) -> None:
        self._put(self._other_rules, rules, terms, said)

    def config_error(self, reason: str) -> None:
        self._put(self.link.config_error, reason)

    def broke(self, said: dict[str, Any]) -> None:
        """How those before it ended, for its reports."""
        self.link.moving.broke = said

    # --- the thread ------------------------------------------------------------------

    def _put(self, event: Callable[..., None], *args: Any) -> None:
        self._events.put((event, args))

    def _step(self, timeout: float) -> None:
        """Wait for an event, take all that are there, do what follows."""
        try:
            event, args = self._events.get(timeout=timeout)
            event(*args)
            for _ in range(AT_ONCE):
                event, args = self._events.get_nowait()
                event(*args)
        except Empty:
            pass
        self.link.tick(_now())
        actions, self.link.actions = self.link.actions, []
        for action in actions:
            self._do(action)
        self._fetches.begin(self.link.awaits)
        self._tell_state()

    def _stop(self) -> None:
        self._stopping = True

    def _other_rules(
        self, rules: LinkRules, terms: Terms, said: dict[str, Any]
    ) -> None:
        self.link.moving.rules_said = said
        self._presence.rules = rules
        self.link.reload(rules, terms, _now())

    def _told(self, network: str, event: links.End) -> None:
        link, now = self.link, _now()
        match event:
            case links.Delivered(deliver):
                link.delivered(*deliver, now)
            case links.Verdicts(ref, exceptions):
                link.verdicts(ref, exceptions, now)
            case links.Up(welcome):
                if network == link.source:
                    link.skew = welcome.now_ms - now
                link.up(network, now)
            case links.Down(reason):
                link.down(network, reason, now)
            case links.Taken(ref):
                link.taken(ref)
            case links.Unwanted(_, error):
                link.unwanted(str(error), now)
            case links.Ended(error):
                link.down(network, str(error), now)

    # --- actions ------------------------------------------------------------------

    def _do(self, action: Any) -> None:
        match action:
            case HandOver(ref, epoch, moves, bodies):
                self._destination.hand_over(ref, epoch, moves, bodies)
            case Settle(ref, groups):
                self._source.settle(ref, groups)
            case Credit(messages, size):
                self._source.credit(messages, size)
            case Meet():
                self._meet()
            case Lead(terms):
                self._source.lead(terms, self._then(self._led))
            case Report(said):
                said["process"] = self._process
                out = {**said, "way": "out"}
                self._source.report(out, self._then(self._reported))
                self._destination.report({**said, "way": "in"}, _never_mind)
                self._presence.tell(_now(), said["state"])
            case Fetch(item):
                self._fetches.want(item)

    def _then(self, answered: Callable[[Any], None]) -> Done:
        """Have `answered` called in the link's thread, or what went wrong told."""

        def done(value: Any, error: ipcbus.IpcbusError | None) -> None:
            if error is None:
                self._put(answered, value)
            elif not isinstance(error, ipcbus.errors.NoBroker):
                self._put(self._refused, error)

        return done

    def _refused(self, error: ipcbus.IpcbusError) -> None:
        changed = isinstance(error, ipcbus.errors.IdentityChanged)
        state = "identity_changed" if changed else "config_error"
        self.link.refused(state, str(error), _now())

    def _meet(self) -> None:
        """Both must know the other; the destination's answer is what counts."""
        source, destination = self._source, self._destination

        def known(value: Any) -> None:
            destination.meet(source.network_id, self._then(self._met))

        source.meet(destination.network_id, self._then(known))

    def _met(self, value: Any) -> None:
        self.link.met(int(value[0]), _now())

    def _led(self, value: Any) -> None:
        leading, epoch, paused = value
        self.link.led(bool(leading), int(epoch), bool(paused), _now())

    def _reported(self, value: Any) -> None:
        leading, paused, reloads = value
        self.link.reported(bool(leading), bool(paused), _now())
        if self._reloads is not None and reloads != self._reloads:
            self._reload()
        self._reloads = reloads

    def _bring(self, sha256: str, size: int) -> None:
        def work() -> None:
            try:
                brought = bring(self._source, self._destination, sha256, size)
            except Exception as error:  # noqa: BLE001 - it must not end unseen
                self._put(_raise, error)
            else:
                self._put(self._fetches.ended, sha256, brought)

        threading.Thread(target=work, name="ipcbus-fetch", daemon=True).start()

    def _fetched(self, item: Item, brought: Brought) -> None:
        self.link.fetched(item, brought.problem, _now(), later=brought.later)

    def _last_words(self, error: Exception) -> None:
        """Tell both sides why it is not there for a while."""
        with suppress(Exception):  # it is broken
            why = f"it broke, and begins anew: {broken(error)}"
            said = {**self.link.status(_now()), "state": "backoff", "reason": told(why)}
            said |= {"process": self._process, "broken": True}
            self._source.report({**said, "way": "out"}, _never_mind)
            self._destination.report({**said, "way": "in"}, _never_mind)

    def _tell_state(self) -> None:
        link = self.link
        said = f"{link.state}: {link.why}" if link.why else link.state
        if said != self._said:
            self._said = said
            self._say(f"{self.way}: {said}")


def broken(error: Exception) -> str:
    """What broke a link, and where, in a line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return told(f"{error!r} ({where})")


def _raise(error: Exception) -> None:
    raise error


def _never_mind(value: Any, error: ipcbus.IpcbusError | None) -> None:
    """An answer that nothing depends on."""


def _now() -> int:
    return int(time.time() * 1000)
