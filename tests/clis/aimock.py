"""A model that is none: aimock, of which each API's real client believes it is one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clis.packages import program
from tests.clis.processes import Process
from tests.clis.script import Turn, fixtures


@contextmanager
def aimock(script: Sequence[Turn], folder: Path, prefix: str = "") -> Iterator[str]:
    """Serve the script until the block ends; gives the address."""
    with serving(fixtures(script, prefix), folder) as url:
        yield url


@contextmanager
def serving(
    document: dict[str, Any], folder: Path, **environment: str
) -> Iterator[str]:
    """Serve fixtures in aimock's own words, under more settings of its environment.

    Turns are counted strictly: else aimock says its last turn again, for ever.
    """
    file = folder / "fixtures.json"
    file.write_text(json.dumps(document))
    command = [program("llmock"), "-p", "0", "-f", str(file), "--validate-on-load"]
    env = {**os.environ, "AIMOCK_STRICT_TURN_INDEX": "1", **environment}
    with Process(command, env=env) as process:
        process.wait_for("listening on http")
        found = re.search(r"http://[\d.]+:\d+", process.said)
        assert found, process.said
        yield found[0]
