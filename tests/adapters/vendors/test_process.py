"""`ipcbus agent` on each of them, as a process of its own on an empty machine."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ipcbus
from tests.adapters.vendors.model import WORDS
from tests.adapters.vendors.platforms import PLATFORMS, Platform
from tests.doors.cli.conftest import RUN_S, Running

ADAPTERS = {"chat": "openai", "responses": "openai"}


@contextmanager
def agent(platform: Platform, url: str) -> Iterator[Running]:
    """One that serves; its key stands in a variable, as usual."""
    words = ["--adapter", ADAPTERS.get(platform.name, platform.name)]
    words += ["--model", "a-model", "--base-url", url + platform.path]
    for key, value in platform.extra:
        words += ["--option", f"{key}={value}"]
    line = ["agent", "--as", "e", "--network", "dev", "--json", *words]
    process = Running(line, {})
    try:
        assert "e serves dev by" in json.loads(process.line())["said"]
        yield process
    finally:
        process.close()


@pytest.mark.parametrize(
    "platform",
    [
        pytest.param(each, marks=pytest.mark.slow if each is not PLATFORMS[0] else ())
        for each in PLATFORMS
    ],
    ids=lambda each: each.name,
    indirect=True,
)
def test_it_starts_a_broker_serves_and_the_broker_outlives_it(
    platform: Platform, model: str, home: Path
) -> None:
    assert [*home.iterdir()] == []
    with agent(platform, model) as process:
        with ipcbus.connect("dev", agent="alice", start=False) as alice:
            epoch = alice.epoch
            answer = alice.ask("e", "Please say it.", timeout=RUN_S)
            assert (answer.sender, answer.body) == ("e", WORDS)
        process.signal(signal.SIGTERM)
        done = process.end()

    assert (done.code, done.err) == (0, "")
    with ipcbus.connect("dev", agent="alice", start=False) as alice:
        assert alice.epoch == epoch
