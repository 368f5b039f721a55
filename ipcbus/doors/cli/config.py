"""`config`: configuration files, shown, described and checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ipcbus.config import dump, load, schema, to_dict
from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit, to_json
from ipcbus.doors.text import safe
from ipcbus.errors import ConfigError

_FILE = click.Path(path_type=Path)


@click.group()
def config() -> None:
    """Show, describe and check configuration files."""


@config.command()
@click.argument("file", type=_FILE)
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show a configuration as it is understood, with all defaults."""
    found = load(file)
    emit(to_dict(found), lambda: [safe(dump(found).rstrip())], as_json=as_json)


@config.command("schema")
@json_option
def schema_(as_json: bool) -> None:
    """Print the JSON Schema of a configuration, for editors and people."""
    found = schema()
    emit(found, lambda: [to_json(found, indent=2)], as_json=as_json)


@config.command()
@click.argument("files", type=_FILE, nargs=-1, required=True, metavar="FILE...")
@json_option
def check(files: tuple[Path, ...], as_json: bool) -> int:
    """Check configuration files. Ends with 2 if one is wrong."""
    found = [_check(file) for file in files]

    def human() -> Iterator[str]:
        for each in found:
            yield safe(each.get("message") or f"{each['file']}: good")

    emit({"files": found}, human, as_json=as_json)
    return 0 if all(each["good"] for each in found) else ConfigError.exit_code


def _check(file: Path) -> dict[str, Any]:
    try:
        load(file)
    except ConfigError as error:
        facts = {**error.facts, "message": str(error), "code": error.code}
        return {"file": str(file), "good": False, **facts}
    return {"file": str(file), "good": True}
