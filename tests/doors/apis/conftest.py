"""A model behind each API's own client, and another agent to write to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import ipcbus
from ipcbus import Client
from ipcbus.networks import BrokerInfo
from tests.clis.aimock import aimock
from tests.clis.packages import AIMOCK, found
from tests.clis.recorder import Recorder
from tests.clis.script import Turn

Model = Callable[..., Recorder]


@pytest.fixture
def model(tmp_path: Path, missing_part: Callable[[str], None]) -> Iterator[Model]:
    """Call it with what the model says; it gives the recorder that stands before it."""
    if found("llmock") is None:
        missing_part(AIMOCK)
    with ExitStack() as stack:

        def start(*script: Turn) -> Recorder:
            url = stack.enter_context(aimock(script, tmp_path))
            return stack.enter_context(Recorder(url))

        yield start


@pytest.fixture
def bob(broker: BrokerInfo) -> Iterator[Client]:
    """Another agent of the network."""
    with ipcbus.connect("dev", agent="bob") as client:
        yield client
