"""Where the SDK of MCP is not installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.doors.mcp.conftest import HAS_SDK

ROOT = Path(__file__).parents[3]


def test_the_sdk_is_there_or_its_tests_are_left_out(
    missing_part: Callable[[str], None],
) -> None:
    if not HAS_SDK:
        missing_part("the package mcp: pip install 'ipcbus[mcp]'")


def test_without_the_sdk_the_command_says_how_to_install_it(home: Path) -> None:
    script = (
        "import sys; sys.modules['mcp'] = None\n"
        "from ipcbus.doors.cli.app import run\n"
        "sys.exit(run(['mcp', '--network', 'dev', *sys.argv[1:]]))"
    )
    for more in ((), ("--http", "0")):
        done = subprocess.run(
            [sys.executable, "-c", script, *more],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 1
        assert "pip install 'ipcbus[mcp]'" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
