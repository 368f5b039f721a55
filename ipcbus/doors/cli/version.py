"""`version`."""

from __future__ import annotations

import platform

import click

from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit
from ipcbus.protocol.limits import MAJOR, MINOR
from ipcbus.version import __version__


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version."""
    found = {
        "version": __version__,
        "protocol": f"{MAJOR}.{MINOR}",
        "python": platform.python_version(),
    }
    emit(found, lambda: [f"ipcbus {__version__}"], as_json=as_json)
