"""A link that begins anew when it broke, ever more slowly.

What breaks a link is what nobody foresaw: an error in it, or in the code of a foreign
end. Nothing that matters is in a link, so it is thrown away with its two ends; the
source gives again what it had, and the next one starts from nothing. It is said on
stdout, its traceback goes to stderr, and the reports of the next ones tell of it.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from ipcbus_bridges.linkrunner import LinkRunner, Say, broken
from ipcbus_bridges.rules import LinkRules, Terms

FIRST_S: Final = 1.0
LAST_S: Final = 60.0
"""Before it begins anew; doubles between these."""

STEADY_S: Final = 300.0
"""After which time at work the next wait is a short one again."""


class KeptLink:
    """Runs a link until it is stopped.

    Args:
        make: makes what runs it, by the rules of now.
        say: told a line when it broke.
    """

    def __init__(
        self,
        source: str,
        destination: str,
        make: Callable[[], LinkRunner],
        say: Say,
        first_s: float = FIRST_S,
    ) -> None:
        self.source, self.destination = source, destination
        self.way = f"{source} -> {destination}"
        self._make = make
        self._say = say
        self._first_s = self._wait_s = first_s
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._runner: LinkRunner | None = make()  # what cannot be at all is told now
        self._problem = ""
        self._broke: dict[str, Any] = {}
        self._thread = threading.Thread(
            target=self._run, name=f"ipcbus-link-{self.way}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it: what is under way comes again."""
        with self._lock:
            self._stopping.set()
            if self._runner is not None:
                self._runner.stop()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def reload(self, rules: LinkRules, terms: Terms, said: dict[str, Any]) -> None:
        with self._lock:
            self._problem = ""
            if self._runner is not None:
                self._runner.reload(rules, terms, said)

    def config_error(self, reason: str) -> None:
        with self._lock:
            self._problem = reason
            if self._runner is not None:
                self._runner.config_error(reason)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._one_life()
            except Exception as error:  # noqa: BLE001 - whatever it is
                if time.monotonic() - began > STEADY_S:
                    self._wait_s = self._first_s
                self._broken(error)
                self._stopping.wait(self._wait_s)
                self._wait_s = min(2 * self._wait_s, LAST_S)

    def _one_life(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            runner = self._runner = self._runner or self._make()
            runner.broke(self._broke)
            if self._problem:
                runner.config_error(self._problem)
        try:
            runner.run()
        finally:
            with self._lock:
                self._runner = None

    def _broken(self, error: Exception) -> None:
        times, now = self._broke.get("times", 0) + 1, int(time.time() * 1000)
        self._broke = {"times": times, "last_ms": now, "error": broken(error)}
        traceback.print_exception(error)
        self._say(
            f"{self.way}: broke: {broken(error)}; begins anew in {self._wait_s:g} s"
        )
