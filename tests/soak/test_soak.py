"""The short form of `python -m tests.soak`: some seconds of it, all kinds of victims.

It is too short for slopes; that those are found is shown in `test_slopes.py`.
"""

from __future__ import annotations

import json
import random
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bridges.town import new_home
from tests.faults.history import violations
from tests.soak import __main__ as command
from tests.soak import picture, verdicts
from tests.soak.city import VICTIMS, Size, city, wrong_sums
from tests.soak.gauges import GAUGES, Sample
from tests.soak.story import Story
from tests.soak.walk import CALM, Outcome, Plan, moments, planned, walk

SIZE = Size(each=2, rate=120.0)
PLAN = Plan(seconds=9.0, kills=5, look_every_s=0.5, check_every_s=4.0)
SEED = 9

KINDS = ("near", "far", "request", "reply", "ttl", "topic", "again", "acked")
READERS = {"dev": ["d0@dev", "d1@dev"], "prod": ["p0@prod"]}


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_nothing_is_lost_in_a_short_run_with_each_of_them_killed(
    tmp_path: Path, show: Callable[[str], None]
) -> None:
    with new_home() as home, city(home, tmp_path, SIZE) as made:
        found = walk(made, PLAN, random.Random(SEED), lambda line: None)
    show(verdicts.summary(found).replace("\n", "; "))
    assert found.broken == []
    assert {victim for victim, _, _ in found.outages} == set(VICTIMS)
    assert found.checks > 1
    assert [kind for kind in KINDS if not found.counts[kind]] == []
    assert all(sample.lives for sample in found.samples)
    told = {name for sample in found.samples for name in sample.values}
    assert told == set(GAUGES), "each curve has values"
    _is_the_same_when_read_again(found, tmp_path)


def _is_the_same_when_read_again(found: Outcome, folder: Path) -> None:
    path = folder / "soak.json"
    assert command.tell(found, Namespace(json=path, picture=None))
    again = command.read(path)
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(found))


# --- judging -----------------------------------------------------------------


def outcome(seconds: float = 1800.0, **leaks: float) -> Outcome:
    """A run without kills in which all curves are flat but for these, an hour."""
    samples = []
    for at in range(0, int(seconds), 15):
        values = dict.fromkeys(GAUGES, 10.0)
        for name, leak in leaks.items():
            values[name.replace("_", " ")] += leak * at / 3600
        lives = {"dev": 1, "prod": 2, "bridge": 3, "client": 4}
        samples.append(Sample(float(at), values | {"others": 0.0}, lives))
    plan = Plan(seconds, 0, 5.0)
    return Outcome(plan, samples, [], Story(READERS).counts, 1, [])


def broken(found: Outcome) -> list[str]:
    return [v.name for v in verdicts.verdicts(found.samples) if v.good is False]


@pytest.mark.parametrize(
    ("name", "leak"),
    [
        ("rss_dev", 40.0),
        ("rss_bridge", 40.0),
        ("fds_client", 60.0),
        ("wal_prod", 200.0),
        ("near_p99", 400.0),
        ("backlog", 2000.0),
    ],
)
def test_each_kind_of_leak_breaks_a_promise(name: str, leak: float) -> None:
    assert broken(outcome(**{name: leak})) == [name.replace("_", " ")]
    assert broken(outcome()) == []


def test_a_database_that_grows_is_told_and_not_judged() -> None:
    """It keeps what was acked for as long as the history."""
    assert broken(outcome(db_prod=900.0)) == []


def test_latency_is_not_judged_when_others_have_the_machine() -> None:
    found = outcome(near_p50=400.0)
    assert broken(found) == ["near p50"]
    for sample in found.samples:
        sample.values["others"] = 60.0
    assert broken(found) == []


def test_a_run_with_a_leak_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "soak.json"
    for leak, code in ((0.0, 0), (90.0, 1)):
        found = outcome(rss_prod=leak)
        command.tell(found, Namespace(json=path, picture=None))
        monkeypatch.setattr("sys.argv", ["soak", "--redraw", str(path)])
        assert command.main() == code
    assert "rss of broker of prod" in capsys.readouterr().out


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "soak.svg"
    picture.draw(outcome(300)._replace(outages=[("bridge", 60.0, 1.0)]), path)
    text = path.read_text()
    assert text.startswith("<?xml")
    assert all(f"{gauge.label}, {gauge.unit}" in text for gauge in GAUGES.values())


# --- the plan ----------------------------------------------------------------


@pytest.mark.parametrize("hours", [0.3, 1.0, 12.0])
def test_there_are_twelve_kills_or_one_in_ten_minutes_and_calm_at_the_end(
    hours: float,
) -> None:
    plan = planned(hours)
    when = moments(plan, random.Random(SEED))
    ends = plan.seconds * (1 - CALM)
    assert len(when) == max(12, int(ends / 600))
    assert [at for at, _ in when] == sorted(at for at, _ in when)
    assert when[-1][0] < ends
    assert {victim for _, victim in when} == set(VICTIMS)


# --- the history -------------------------------------------------------------


def got(sender: str, id_: str, to: str = "d1", kind: str = "inform") -> list[Any]:
    seq = int.from_bytes(id_.encode())
    return ["got", sender, id_, seq, 1, to, kind, 0.1]


def told_of(*rows: tuple[str, list[list[Any]]]) -> list[str]:
    story = Story(READERS)
    for who, more in rows:
        story.add(who, more)
    return list(map(str, violations(*story.close())))


def asked(to: str, id_: str, kind: str, outcome: str = "ok") -> list[list[Any]]:
    return [["ask", to, id_, kind], ["told", id_, outcome, 0.1]]


def test_a_message_to_a_topic_must_come_to_each_of_its_readers() -> None:
    sent = ("d0@dev", asked("#news@dev", "1@dev", "topic"))
    came = ("d1@dev", [got("d0@dev", "1@dev", "#news")])
    assert told_of(sent, came) == []
    assert told_of(sent) == ["1@dev>d1@dev was accepted for d1@dev and never delivered"]


def test_mail_that_ends_unread_must_come_back_and_once() -> None:
    sent = ("d0@dev", asked("sleeper@dev", "1@dev", "ttl"))
    back = ("d0@dev", [got("broker", "1@dev", "d0", "bounce")])
    assert told_of(sent, back) == []
    assert told_of(sent) == ["1@dev! was accepted for d0@dev and never delivered"]
    again = ("d0@dev", [[*back[1][0][:3], 99, *back[1][0][4:]]])
    assert "stored twice" in told_of(sent, back, again)[0]
    other = ("d0@dev", asked("d1@dev", "1@dev", "near"))
    assert len(told_of(other, back)) == 2, "and nothing else may come back"


def test_an_answer_that_two_processes_gave_may_be_at_either_place() -> None:
    first = ["ask", "d1@dev", "re-1@dev", "reply"]
    rows = [
        first,
        *asked("d1@dev", "2@dev", "near"),
        first,
        ["told", "re-1@dev", "ok", 1],
    ]
    for ids in (("re-1@dev", "2@dev"), ("2@dev", "re-1@dev")):
        came = [got("d0@dev", id_) for id_ in ids]
        assert told_of(("d0@dev", rows), ("d1@dev", came)) == []
    assert told_of(("d0@dev", rows), ("d1@dev", [got("d0@dev", "2@dev")]))


def test_what_a_killed_process_was_not_told_may_have_come_or_not() -> None:
    sent = ("d0@dev", [["ask", "d1@dev", "1@dev", "near"]])
    assert told_of(sent) == []
    assert told_of(sent, ("d1@dev", [got("d0@dev", "1@dev")])) == []


def test_counters_that_do_not_add_up_and_dead_letters_are_told() -> None:
    boxes = {"d1": {"waiting": 1, "leased": 1}}
    good = {"counters": {"accepted": 5, "acked": 3}, "mailboxes": boxes}
    assert wrong_sums("dev", good) == []
    lost = {"counters": {"accepted": 6, "acked": 3}, "mailboxes": boxes}
    assert "do not add up" in wrong_sums("dev", lost)[0]
    dead = {"counters": {"accepted": 6, "acked": 3, "dead": 1}, "mailboxes": boxes}
    assert wrong_sums("dev", dead) == ["dev: 1 dead letters"]
