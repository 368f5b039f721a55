"""The short form of `python -m tests.chaos`: each fault once, on living processes.

That the checker finds what is planted is shown in `tests/faults/test_history.py`; here
that this harness hands everything to it. Two faults have tests of their own: a clock
that jumps (`tests/transport/test_clock.py`) and a line that is cut between two network
namespaces (`tests/bridges/faults/test_two_hosts.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.chaos import fleet, ground, kills, phases
from tests.chaos.faults import FAULTS
from tests.faults.history import OK, UNKNOWN, Acked, Got, Seen, Sent

SEED = 8
SIZE = fleet.Size(senders=3, receivers=2, rate=25.0)
STOPPED_S = 1.0

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(240)
def test_what_was_accepted_outlives_each_fault(
    home: Path, tmp_path: Path, show: Callable[[str], None]
) -> None:
    with ground.world(home, tmp_path, SEED, SIZE) as world:
        world.longest_stop_s = STOPPED_S
        for fault in FAULTS:
            phase = phases.run(world, fault, 1)
            show(
                f"{fault}: {phase.accepted} accepted, {phase.again} repeated, "
                f"outage {phase.outage_s:.2f} s, {len(phase.broken)} broken"
            )
            assert phase.accepted > 0
            assert phase.broken == []
            assert phase.given_up == 0


@pytest.mark.timeout(240)
def test_mail_that_nobody_reads_fills_what_a_network_may_have(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to a full store where no small disk can be mounted."""
    monkeypatch.setattr(ground, "small_disk", lambda folder: nullcontext())
    with ground.world(home, tmp_path, SEED, SIZE) as world:
        phase = phases.run(world, "disk-full", 1)
    assert phase.broken == []
    assert phase.refused > 0, "it was full"


def test_a_history_with_a_lost_a_doubled_and_a_disordered_message_is_reported() -> None:
    sent = [Sent("s0", "r0", f"m{n}", OK, float(n)) for n in range(4)]
    seen: list[Seen] = [
        Got("r0", "s0", "m0", 1, 1),
        Got("r0", "s0", "m0", 2, 1),
        Got("r0", "s0", "m3", 4, 1),
        Got("r0", "s0", "m2", 3, 1),
        Acked("r0", "m3", OK),
    ]
    phase = phases.checked("planted", 1, fleet.History(sent, seen))
    assert phase.broken == [
        "m1 was accepted for r0 and never delivered",
        "m0 is stored twice for r0: 1, 2",
        "r0 first got m3, then m2 of s0",
    ]
    assert phases.line(phase).split()[-1] == "3", "and it stands in the table"


def test_an_outage_is_of_one_sender_at_one_kill() -> None:
    sent = [Sent("s0", "r0", f"m{at}", OK, at) for at in (0.0, 1.0, 4.0, 5.0, 5.5)]
    sent.append(Sent("s0", "r0", "late", UNKNOWN, 5.2))
    assert kills.outages(sent, [1.5, 4.5]) == [3.0, 1.0]


def test_a_dead_letter_is_an_end_and_no_loss() -> None:
    history = fleet.History([Sent("s0", "r0", "m0", OK)], [])
    phase = phases.checked("planted", 1, history, {("r0", "m0")})
    assert (phase.broken, phase.given_up) == ([], 1)


def test_what_a_killed_process_was_never_told_is_unknown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    rows = [["ask", "s0", "r0", "m0"], ["ask", "s0", "r0", "m1"], ["told", "m0", OK, 1]]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '["told", "m')
    found = fleet.sent_by(fleet.rows_of(log.read_bytes()))
    assert [(one.id, one.outcome) for one in found] == [("m0", OK), ("m1", UNKNOWN)]
