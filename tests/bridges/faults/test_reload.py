"""Rules that change while mail flows: nothing is lost, and it is told what happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus.transport import launch
from tests.bridges.faults.neighbours import Neighbour, Traffic, ends_well, pair
from tests.bridges.town import DEV, PROD, THERE, Bridge, Home, bridge, reported
from tests.waiting import until

pytestmark = pytest.mark.chaos

ALL = "rules:\n  - id: {id}\n    allow: '*@dev <-> *@prod'\n"
NO_BOB = ALL + "  - id: no-bob\n    deny: 'alice@dev -> bob@prod'\n"
BROKEN = "rules:\n  - id: broken\n    alow: '*@dev -> *@prod'\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(ALL.format(id="first"))
    return path


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def _reload(spans: Bridge, path: Path, text: str) -> None:
    """Change the rules, and wait until it says what came of it."""
    before = _told(spans)
    _write(path, text)
    os.kill(spans.pid, signal.SIGHUP)
    until(lambda: _told(spans) > before, "the rules were read again")


def _told(spans: Bridge) -> int:
    return sum(line.startswith(("rules ", "the rules ")) for line in spans.lines())


@pytest.mark.timeout(240)
def test_rules_are_read_again_200_times_under_load_and_nothing_is_lost(
    town: Home, rules: Path, tmp_path: Path, show: Callable[[str], None]
) -> None:
    with (
        bridge(town, tmp_path, rules=rules) as spans,
        pair(town) as people,
        Traffic(people) as traffic,
    ):
        spans.runs()
        for number in range(200):
            _reload(spans, rules, ALL.format(id=f"rule-{number}"))
            if number % 20 == 0:
                traffic.advance(20)
        traffic.advance(100)
        traffic.stop()
        ends_well(people, (town, DEV), (town, PROD))
        show(f"200 reloads: {sum(len(one.got) for one in people)} messages crossed")


def test_queued_mail_that_new_rules_refuse_bounces_with_the_reason(
    town: Home, rules: Path, tmp_path: Path
) -> None:
    prod = town.network(PROD)
    with bridge(town, tmp_path, rules=rules) as spans, pair(town) as people:
        spans.runs()
        alice = people.alice
        people.bob.close()
        with prod.starter_lock(30):
            launch.stop(prod)
            spans.says(THERE, "backoff")
            for _ in range(10):
                alice.poison()
            alice.client.flush()
            _reload(spans, rules, NO_BOB.format(id="others"))
        launch.ensure(prod)
        until(lambda: _bounced(alice) == 10, "all of it bounces")
        assert [id_ for id_, *_ in alice.bounces] == alice.poisoned
        for _, status, reason in alice.bounces:
            assert status == "5.7.1"
            assert "no-bob" in reason
        ends_well(people, (town, DEV))


def _bounced(one: Neighbour) -> int:
    one.take()
    return len(one.bounces)


def test_a_broken_file_leaves_the_old_rules_in_force_and_says_so(
    town: Home, rules: Path, tmp_path: Path
) -> None:
    with bridge(town, tmp_path, rules=rules) as spans, pair(town) as people:
        spans.runs()
        revision = reported(town)["rules"]["revision"]
        _reload(spans, rules, BROKEN)
        until(lambda: bool(reported(town)["problem"]), "its status says so")
        said = reported(town)
        assert "alow" in said["problem"]
        assert said["rules"]["revision"] == revision
        assert said["state"] == "running"
        people.submit(10)
        ends_well(people, (town, DEV), (town, PROD))
        _reload(spans, rules, ALL.format(id="mended"))
        until(lambda: not reported(town)["problem"], "its status says that it is well")
        assert reported(town)["rules"]["revision"] != revision
