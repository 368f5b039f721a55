"""The k-th write or sync of a real broker fails, or is its last moment; for k from 1.

After each: the database is whole, every message that was accepted is there, every
other one is sent again and stored once, and the order holds. The same clients live
through all of it.
"""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import ipcbus
from ipcbus.client.pending import Pending
from ipcbus.errors import IpcbusError, NoBroker, StoreFailed, StoreFull
from ipcbus.networks import Network
from ipcbus.store.sqlite.offline import inspect
from ipcbus.transport import launch
from tests.faults.history import OK, STALE, Acked, Got, Seen, Sent, violations
from tests.waiting import until

KTH_BROKER = Path(__file__).with_name("kth_broker.py")
LAST = 50
ALL = list(range(1, LAST + 1))
SOME = [1, 2, 3, 4, 5, 6, 8, 11, 16, 23, 34, LAST]
AT_ONCE = 3
BODY = "." * 3000

pytestmark = pytest.mark.chaos


class Lives:
    """Brokers in a row, each ended by one fault, and two clients that outlive them.

    Attributes:
        unanswered: sends that nobody had answered when a broker ended.
        refused: sends that were refused because the disk was full.
        ends: seconds from each fault to the end of its broker, if it ended by that.
    """

    def __init__(self, network: Network, folder: Path, operation: str) -> None:
        self._network = network
        self._trigger = folder / "trigger"
        self._operation = operation
        self._flying: dict[str, Pending[ipcbus.Receipt]] = {}
        self._acks: list[tuple[str, Pending[None]]] = []
        self._sent: list[Sent] = []
        self._seen: list[Seen] = []
        self._number = 0
        self.unanswered = self.refused = 0
        self.ends: list[float] = []
        self.child = self._start()
        self.alice = ipcbus.connect(network.name, agent="alice", start=False)
        self.bob = ipcbus.connect(network.name, agent="bob", start=False)

    def live(self, fault: str, turn: int) -> None:
        """Work until the fault, let the broker end, and look at what it left."""
        fired = self._trigger.with_suffix(".fired")
        arm = self._trigger.with_suffix(".arm")
        arm.write_text(f"{fault} {turn}")
        arm.rename(self._trigger)
        deadline = time.monotonic() + 60
        while not fired.exists():
            assert time.monotonic() < deadline, f"no {self._operation} {turn}"
            self._work(fired)
        self._end(fault, float(fired.read_text() or time.monotonic()))
        self._trigger.unlink()
        fired.unlink()
        self.unanswered += sum(not one.done() for one in self._flying.values())
        inspect(self._network.database)  # all pages; raises if it is not whole
        self.child = self._start()
        self._settle()

    def _work(self, fired: Path) -> None:
        """Send a few and read what is there, until all is answered or it happens."""
        for _ in range(AT_ONCE):
            self._number += 1
            self._submit(f"m{self._number}")
        self._read()
        flying = list(self._flying.values())
        until(lambda: fired.exists() or all(one.done() for one in flying), "an answer")
        self._answered()

    def _submit(self, id_: str) -> None:
        self._flying[id_] = self.alice.submit("bob", BODY, id=id_)

    def _answered(self) -> None:
        """Take note of what was answered; what was refused is sent again."""
        for id_, pending in list(self._flying.items()):
            if not pending.done():
                continue
            del self._flying[id_]
            try:
                pending.result(0)
            except StoreFull:
                self.refused += 1
                self._submit(id_)
            else:
                self._sent.append(Sent("alice", "bob", id_, OK))

    def _read(self) -> None:
        try:
            found = self.bob.receive(64, timeout=0)
        except NoBroker:  # for the moment
            return
        for one in found:
            self._seen.append(Got("bob", one.sender, one.id, one.seq, one.attempt))
            self._acks.append((one.id, one.ack()))

    def _end(self, fault: str, fired: float) -> None:
        """The broker ends by the fault; or goes on, where that is what it should do."""
        if fault == "ENOSPC" and self._goes_on():
            self.child.send_signal(signal.SIGTERM)
            assert self.child.wait(30) == 0
            return
        code = self.child.wait(30)
        self.ends.append(time.monotonic() - fired)
        assert code == (-signal.SIGKILL if fault == "KILL" else StoreFailed.exit_code)

    def _goes_on(self) -> bool:
        """Until all is answered, by whichever epoch; or it has ended."""

        def settled() -> bool:
            self._answered()
            return not self._flying or self.child.poll() is not None

        until(settled, "all is answered, or it has ended")
        return self.child.poll() is None

    def _settle(self) -> None:
        """With a sound broker all gets an answer, and all that was stored is read."""

        def settled() -> bool:
            self._answered()
            return not self._flying

        until(settled, "all is accepted")
        wanted = {one.id for one in self._sent}

        def read() -> bool:
            self._read()
            return wanted <= {one.id for one in self._seen if isinstance(one, Got)}

        until(read, "all of it comes")
        for id_, ack in self._acks:
            self._seen.append(Acked("bob", id_, _outcome(ack)))
        self._acks.clear()

    def broken(self) -> list[str]:
        """What must not be in the history. The order is that of sending; what was
        refused has its place where it was sent again."""
        numbered = sorted(self._sent, key=lambda one: int(one.id[1:]))
        return violations(numbered if not self.refused else self._sent, self._seen)

    def sends(self) -> int:
        return len(self._sent)

    def close(self) -> None:
        self.bob.close()
        self.alice.close()
        self.child.terminate()
        self.child.wait(30)

    def _start(self) -> subprocess.Popen[bytes]:
        def command(network: Network) -> list[str]:
            script = [sys.executable, "-P", str(KTH_BROKER)]
            return [*script, network.name, str(self._trigger), self._operation]

        child = launch.spawn(self._network, command=command, detached=False)
        assert child.stdout is not None
        with child.stdout as pipe:
            assert select.select([pipe], [], [], 60)[0], "it starts"
            launch.said(self._network, pipe.readline())
        return child


def _outcome(ack: Pending[None]) -> str:
    try:
        ack.result(60)
    except IpcbusError:
        return STALE
    return OK


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param(SOME, id="some"),
        pytest.param(
            ALL,
            id="all",
            marks=[pytest.mark.slow, pytest.mark.timeout(600)],
        ),
    ],
)
@pytest.mark.parametrize(
    ("fault", "operation"),
    [
        ("KILL", "write"),
        ("EIO", "sync"),
        ("ENOSPC", "write"),
        pytest.param("KILL", "sync", marks=pytest.mark.slow),
        pytest.param("EIO", "write", marks=pytest.mark.slow),
        pytest.param("ENOSPC", "sync", marks=pytest.mark.slow),
    ],
)
def test_at_whatever_write_it_fails_what_was_accepted_is_there_and_all_else_once(
    network: Network,
    tmp_path: Path,
    fault: str,
    operation: str,
    turns: list[int],
    show: Callable[[str], None],
) -> None:
    lives = Lives(network, tmp_path, operation)
    try:
        for turn in turns:
            lives.live(fault, turn)
        broken = lives.broken()
    finally:
        lives.close()
    ends = f", ended after {max(lives.ends):.2f} s at most" if lives.ends else ""
    show(
        f"{fault} at {operation} 1 to {LAST}, {len(turns)} of them: {lives.sends()} "
        f"accepted, {lives.unanswered} unanswered, {lives.refused} refused{ends}"
    )
    assert broken == []
