"""What nobody foresaw breaks a link: mail comes over all the same, and it is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ipcbus
from tests.bridges.town import DEV, PROD, Bridge, Home, bridge, reported
from tests.waiting import until

WAIT_S = 30.0

BROKEN = """
from ipcbus_bridges.link import Link
from ipcbus_bridges.runner import run
usual, left = Link.delivered, [{times}]
def delivered(link, *args):
    if left[0]:
        left[0] -= 1
        raise ZeroDivisionError("nobody thought of this")
    usual(link, *args)
Link.delivered = delivered
run("dev", "prod")
"""


def _status(town: Home) -> dict[str, Any]:
    shown = town.run("-m", "ipcbus", "bridges", "status", "--json", stdout=-1)
    out, _ = shown.communicate(timeout=WAIT_S)
    links = json.loads(out)["links"]
    return next(link for link in links if link["network"] == DEV)


def _broken(town: Home, folder: Path, times: int) -> Any:
    return bridge(town, folder, "-c", BROKEN.format(times=times))


def test_mail_comes_over_by_the_next_life_of_the_link_in_order_and_once(
    town: Home, tmp_path: Path
) -> None:
    with (
        ipcbus.connect(PROD, agent="bob") as bob,
        ipcbus.connect(DEV, agent="alice") as alice,
        _broken(town, tmp_path, 1) as spans,
    ):
        spans.runs()
        for number in range(20):
            alice.send("bob@prod", str(number))
        bodies: list[Any] = []
        while len(bodies) < 20:
            found = bob.receive(20, timeout=WAIT_S)
            assert found, bodies
            bodies += [message.body for message in found]
            for message in found:
                message.ack()
        assert bodies == [str(number) for number in range(20)]
        broke = reported(town)["broke"]
        assert broke["times"] == 1
        assert "nobody thought of this" in broke["error"]
        shown = _status(town)
        assert shown["state"] == "running"
        assert shown["why"].startswith("broke 1 time, last at ")
        assert any("dev -> prod: broke: ZeroDivisionError" in x for x in spans.lines())


def test_a_link_that_breaks_again_and_again_is_seen_to_do_so(
    town: Home, tmp_path: Path
) -> None:
    with (
        ipcbus.connect(PROD, agent="bob"),
        ipcbus.connect(DEV, agent="alice") as alice,
        _broken(town, tmp_path, -1) as spans,
    ):
        spans.runs()
        alice.send("bob@prod", "hi")
        until(lambda: _times(spans) >= 2, "it broke twice", WAIT_S)
        until(lambda: _is_told(town), "it is seen", WAIT_S)


def _times(spans: Bridge) -> int:
    return sum(": broke: " in line for line in spans.lines())


def _is_told(town: Home) -> bool:
    shown = _status(town)
    return shown["state"] == "backoff" and "it broke, and begins" in shown["why"]
