"""The table of all that is fuzzed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fuzz import doors, files, wire
from tests.fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target for target in (*wire.TARGETS, *files.TARGETS, *doors.TARGETS)
}
