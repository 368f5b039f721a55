"""Real agents that answer everything: they are stopped, and people are told."""

from __future__ import annotations

from typing import Any

import pytest

import ipcbus
from ipcbus.broker.settings import Settings
from ipcbus.networks import Network
from ipcbus.transport import launch
from tests.client.answerer import BOUND_S, Answerer, answering
from tests.waiting import until

PAIR = Settings().guard_pair

Ways = dict[str, tuple[str, str]]
"""How each agent answers, and where to."""


def _at_rest(operator: ipcbus.Client) -> dict[str, Any]:
    """The status when a loop was stopped and nothing is under way any more."""
    seen: list[dict[str, Any]] = []

    def rests() -> bool:
        seen.append(operator.status())
        busy = [box for box in seen[-1]["mailboxes"].values() if any(box.values())]
        return bool(seen[-1]["counters"].get("loop_stopped")) and not busy

    until(rests, "it rests", BOUND_S)
    return seen[-1]


@pytest.mark.parametrize(
    "ways",
    [
        {"ann": ("reply", ""), "bob": ("reply", "")},
        {"ann": ("send", "bob"), "bob": ("send", "ann")},
        {"ann": ("send", "bob"), "bob": ("reply", "")},
        {"ann": ("send", "bob"), "bob": ("send", "cy"), "cy": ("send", "ann")},
        {"ann": ("send", "#room"), "bob": ("send", "#room")},
    ],
    ids=["pair replies", "pair sends", "pair does either", "triangle", "topic"],
)
def test_agents_that_answer_everything_are_stopped_and_people_told(
    network: Network, ways: Ways
) -> None:
    settings = {"guard_human": "hugo"}
    network.save(network.saved()._replace(settings=settings))
    launch.start(network)
    with (
        ipcbus.connect("dev", agent="hugo") as hugo,
        ipcbus.connect("dev", agent="") as operator,
    ):
        for name, (_, to) in ways.items():
            with ipcbus.connect("dev", agent=name) as client:
                if to.startswith("#"):
                    client.join(to[1:])
                if name == "bob":
                    client.send("ann", "hello")
        with answering(*[Answerer("dev", name, *way) for name, way in ways.items()]):
            (notice,) = hugo.receive(timeout=BOUND_S)
            notice.ack()
            hugo.flush()
            status = _at_rest(operator)
    assert notice.sender == "ipcbus"
    assert "the loop guard of dev stopped a loop" in str(notice.body)
    # Of a pair in which one answers with `reply_to` only the other's turns count.
    assert status["counters"]["accepted"] <= 2 * PAIR + 10
    told = {name for row in status["guards"]["rounds"] for name in row["agents"]}
    assert told >= {"ann", "bob"}
    assert any(row["until_ms"] for row in status["guards"]["rounds"])
