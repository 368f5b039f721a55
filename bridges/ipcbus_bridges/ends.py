"""What a runner needs of either side of a link, and how a network of ipcbus is one.

The far side of a link need not be a broker of ipcbus. Whatever implements `End` can be
bridged to: it says when it is there (`Up`), takes what is handed over and gives a
verdict on each message, and gives what it has as deliveries. `docs/bridges.md` has an
example, and `ipcbus.bridges` is the group of entry points by which one is found.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, Protocol

import ipcbus
from ipcbus import links

RETRY_S = 5.0
"""Seconds after which an end that was refused asks again, about."""

Tell = Callable[[links.End], None]
Done = Callable[[Any, ipcbus.IpcbusError | None], None]
"""Told of the answer to a question, or why there is none."""


class End(Protocol):
    """One side of a link. Methods do not wait; answers come by `Done` or `Tell`, from
    any thread.

    Attributes:
        network: its name.
        network_id: which one it is for ever, once it is up.
    """

    network: str
    network_id: str

    def open(self, tell: Tell) -> None:
        """Begin to be there, and go on trying for ever."""

    def close(self) -> None: ...

    def meet(self, network_id: str, done: Done) -> None:
        """The other side has this id. Answers `[ms]`: how long ids are known again."""

    def lead(self, terms: dict[str, Any], done: Done) -> None:
        """Answers `[leading, epoch, paused]`."""

    def report(self, said: dict[str, Any], done: Done) -> None:
        """Answers `[leading, paused, reloads]`."""

    def credit(self, messages: int, size: int) -> None: ...

    def settle(self, ref: int, groups: list[list[Any]]) -> None:
        """`Taken` of `ref` follows."""

    def hand_over(
        self, ref: int, epoch: int, moves: list[links.Move], bodies: list[bytes]
    ) -> None: ...

    def ask(self, name: str, *args: Any, body: bytes = b"") -> Any:
        """A call of the protocol, waited for: for attachments and lists of agents."""

    def present(self, offset: int, done: Done) -> None:
        """Who is there: `[[[name, sessions]], offset of the rest]`."""

    def publish(self, rows: list[list[Any]], done: Done) -> None:
        """Who is there on the other side; see `presence`."""


class NetworkEnd:
    """An end in a network of ipcbus.

    Args:
        outward: it is the source of its link.
        start: its broker, if this machine's and there is none.
    """

    def __init__(
        self, network: str, peer: str, *, outward: bool = True, start: bool = True
    ) -> None:
        self._outward = outward
        self._start = start
        self.network = network
        self.network_id = ""
        self._peer = peer
        self._end: links.LinkEnd | None = None
        self._closed = threading.Event()

    def open(self, tell: Tell) -> None:
        name = f"ipcbus-end-{self.network}"
        threading.Thread(
            target=self._open, args=(tell,), name=name, daemon=True
        ).start()

    def _open(self, tell: Tell) -> None:
        """Connect until it can be; the end itself connects again when it is lost."""
        made = threading.Event()

        def heard(event: links.End) -> None:
            made.wait()  # whoever is told may ask the end at once
            if isinstance(event, links.Up):
                self.network_id = event.welcome.network_id
            if isinstance(event, links.Ended) and not self._closed.is_set():
                tell(links.Down(str(event.error)))
                self._open_later(tell)
                return
            tell(event)

        while not self._closed.is_set():
            try:
                self._end = links.connect(
                    self.network,
                    self._peer,
                    tell=heard,
                    program="bridge",
                    start=self._start,
                    outward=self._outward,
                )
                made.set()
                if self._closed.is_set():  # while it was made
                    self._end.close(1.0, keep_leases=False)
                return
            except ipcbus.IpcbusError as error:
                tell(links.Down(str(error)))
            except Exception as error:  # noqa: BLE001 - or nobody would try again
                tell(links.Down(repr(error)))
            self._closed.wait(random.uniform(0.2, 1.0))  # noqa: S311 - no secret

    def _open_later(self, tell: Tell) -> None:
        seconds = random.uniform(RETRY_S / 2, RETRY_S)  # noqa: S311 - no secret
        timer = threading.Timer(seconds, self._open, (tell,))
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        self._closed.set()
        if self._end is not None:
            self._end.close(1.0, keep_leases=False)

    def meet(self, network_id: str, done: Done) -> None:
        self._call(done, "meet", network_id)

    def lead(self, terms: dict[str, Any], done: Done) -> None:
        self._call(done, "lead", said=terms)

    def report(self, said: dict[str, Any], done: Done) -> None:
        self._call(done, "report", said=said)

    def publish(self, rows: list[list[Any]], done: Done) -> None:
        self._call(done, "publish", said=rows)

    def present(self, offset: int, done: Done) -> None:
        self._call(done, "present", offset)

    def credit(self, messages: int, size: int) -> None:
        if self._end is not None:
            self._end.credit(messages, size)

    def settle(self, ref: int, groups: list[list[Any]]) -> None:
        if self._end is not None:
            self._end.settle(ref, groups)

    def hand_over(
        self, ref: int, epoch: int, moves: list[links.Move], bodies: list[bytes]
    ) -> None:
        if self._end is not None:
            self._end.hand_over(ref, epoch, moves, bodies)

    def ask(self, name: str, *args: Any, body: bytes = b"") -> Any:
        assert self._end is not None
        return self._end.ask(name, *args, body=body)

    def _call(self, done: Done, name: str, *args: Any, said: Any = None) -> None:
        """Ask, if it is there. What is asked while it is away is void: at the next `Up`
        all begins anew, and a day of reports would only have to be told first."""
        if self._end is None or not self._end.connected:
            return
        try:
            pending = self._end.call(name, *args, said=said)
        except ipcbus.IpcbusError as error:
            done(None, error)
            return
        pending.add_done_callback(lambda p: done(*_outcome(p)))


def _outcome(pending: Any) -> tuple[Any, ipcbus.IpcbusError | None]:
    error = pending.error()
    return (None, error) if error is not None else (pending.value()[0], None)
