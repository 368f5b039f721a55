"""Programs of others that tests run, from the folders that npm put them in.

Those of `make test-clis` are several hundred megabytes, so that they are no part of a
plain test run: a test that lacks one skips and says so, unless IPCBUS_REQUIRE_CLIS is
set; then it fails. IPCBUS_CLIS may name another folder `node_modules` that has them.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

NPM = Path(sys.prefix) / "npm"
FOLDERS = [NPM / name / "node_modules" for name in ("clis", "apis")]
"""In the virtual environment, where nobody takes them for ours."""

AIMOCK = "node, and aimock from npm, which `make test` installs where it finds npm"
"""What tests say that need no more than a model, and skip without it."""


def found(name: str) -> str | None:
    """The path of a program that can be run; None if it is not installed."""
    if shutil.which("node") is None:
        return None
    elsewhere = os.environ.get("IPCBUS_CLIS")
    folders = [Path(elsewhere)] if elsewhere else FOLDERS
    paths = (folder / ".bin" / name for folder in folders)
    return next((str(path) for path in paths if path.exists()), None)


def program(name: str) -> str:
    """The path of a program; the test ends here if it is not installed."""
    path = found(name)
    if path is not None:
        return path
    lacks = f"{name} is not installed; `make test-clis` does it with node and npm"
    if os.environ.get("IPCBUS_REQUIRE_CLIS"):
        pytest.fail(lacks)
    pytest.skip(lacks)
