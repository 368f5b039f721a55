"""How often hooks look for mail, as it was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.doors.notice import auto
from ipcbus.doors.notice.auto import Auto, is_due
from ipcbus.errors import InvalidAddress, UnsafeFolder
from ipcbus.networks import Network


def test_nothing_was_said_at_first(network: Network) -> None:
    assert auto.read(network, "alice") is None


def test_what_was_said_last_counts(network: Network) -> None:
    started = auto.start(network, "alice", 300)
    assert auto.read(network, "alice") == started
    assert started.every_s == 300

    stopped = auto.stop(network, "alice")
    assert auto.read(network, "ALICE") == stopped
    assert stopped.every_s is None


def test_each_agent_has_its_own(network: Network) -> None:
    auto.stop(network, "alice")

    assert auto.read(network, "bob") is None


def test_only_its_owner_can_read_it(network: Network) -> None:
    auto.start(network, "alice", 0)
    path = network.folder / "auto" / "alice.json"

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.security
def test_a_file_that_others_may_write_is_refused(network: Network) -> None:
    auto.start(network, "alice", 0)
    (network.folder / "auto" / "alice.json").chmod(0o666)

    with pytest.raises(UnsafeFolder):
        auto.read(network, "alice")


@pytest.mark.security
@pytest.mark.parametrize("agent", ["../alice", "a/b", "", ".", "@prod"])
def test_a_name_cannot_lead_elsewhere(network: Network, agent: str) -> None:
    with pytest.raises(InvalidAddress):
        auto.start(network, agent, 0)


@pytest.mark.parametrize(
    "text",
    [
        "junk",
        "[]",
        "{}",
        '{"every_s": 5}',
        '{"every_s": "5", "since": 1}',
        '{"every_s": true, "since": 1}',
        '{"every_s": -1, "since": 1}',
        '{"every_s": NaN, "since": 1}',
        '{"every_s": 5, "since": 1e300}',
    ],
)
def test_a_file_that_is_not_ours_counts_as_none(network: Network, text: str) -> None:
    auto.start(network, "alice", 5)
    path: Path = network.folder / "auto" / "alice.json"
    path.write_text(text)

    assert auto.read(network, "alice") is None


@pytest.mark.parametrize("every_s", [-1, 86_401, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(network: Network, every_s: float) -> None:
    with pytest.raises(ValueError):
        auto.start(network, "alice", every_s)
    assert auto.read(network, "alice") is None


@pytest.mark.parametrize(
    ("wish", "last_s", "due"),
    [
        (None, None, True),
        (None, 999.0, True),
        (Auto(0.0, 1.0), 999.0, True),
        (Auto(None, 1.0), None, False),
        (Auto(None, 1.0), 1.0, False),
        (Auto(60.0, 1.0), None, True),
        (Auto(60.0, 1.0), 941.0, False),
        (Auto(60.0, 1.0), 940.0, True),
        (Auto(60.0, 1.0), 1001.0, True),  # the clock was set back
    ],
)
def test_it_is_due_once_in_a_while(
    wish: Auto | None, last_s: float | None, due: bool
) -> None:
    assert is_due(wish, last_s, now=1000.0) is due
