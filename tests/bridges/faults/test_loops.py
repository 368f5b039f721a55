"""Two agents of two networks that answer everything, with brokers and a bridge that are
processes: they are stopped, and people are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipcbus
from ipcbus.broker.settings import Settings
from tests.bridges.town import DEV, PROD, Home, bridge
from tests.client.answerer import Answerer, answering
from tests.faults.crew import BOUND_S
from tests.waiting import until

PAIR = Settings().guard_pair
HUMAN = "hugo"


def test_agents_of_two_networks_that_answer_everything_are_stopped(
    home: Path, tmp_path: Path
) -> None:
    here = Home(home)
    for name in (DEV, PROD):
        settings = {"guard_pair": PAIR, "guard_human": HUMAN}
        here.start(here.network(name), settings=settings)
    alice = Answerer(DEV, "alice", "send", f"bob@{PROD}")
    bob = Answerer(PROD, "bob", "send", f"alice@{DEV}")
    with (
        ipcbus.connect(DEV, agent=HUMAN) as hugo,
        ipcbus.connect(PROD, agent=HUMAN) as his_other,
        bridge(here, tmp_path) as carrier,
    ):
        carrier.runs()
        with answering(alice, bob):
            hugo.send("alice", "hello")
            until(lambda: _told(hugo) or _told(his_other), "people are told")
            until(lambda: _is_quiet(DEV) and _is_quiet(PROD), "all is quiet")
    accepted = _status(DEV)["counters"]["accepted"]
    assert accepted <= 2 * 2 * PAIR + 10, "in and out, and what people were told"


def _told(human: ipcbus.Client) -> bool:
    notices = human.receive(timeout=0.1)
    for notice in notices:
        assert "stopped a loop" in str(notice.body)
        notice.ack().result(BOUND_S)
    return bool(notices)


def _is_quiet(network: str) -> bool:
    boxes = _status(network)["mailboxes"]
    return not any(any(box.values()) for box in boxes.values())


def _status(network: str) -> dict[str, Any]:
    with ipcbus.connect(network, agent="", timeout=BOUND_S) as operator:
        return operator.status()
