"""`tools`: the schemas of the tools, for the API of a model."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ipcbus.doors.cli.output import emit, table, to_json
from ipcbus.doors.tools.formats import FORMATS, formatted
from ipcbus.doors.tools.registry import TOOLS


@click.command()
@click.option(
    "--format",
    "shape",
    type=click.Choice([*FORMATS]),
    help="Print their schemas as this API takes them.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format mcp.")
def tools(shape: str | None, as_json: bool) -> None:
    """Print the tools that models are given.

    With --format as one JSON array, to be put into a request as it is. What a model
    calls is carried out by `ipcbus call`.
    """
    found = formatted(TOOLS, shape or "mcp")

    def human() -> Iterator[str]:
        if shape is not None:
            yield to_json(found)
            return
        yield from table(
            ("tool", "what it does"),
            [(tool.name, _first(tool.description)) for tool in TOOLS],
        )

    emit(found, human, as_json=as_json)


def _first(description: str) -> str:
    """Its first sentence, without the full stop."""
    return description.partition(". ")[0].removesuffix(".")
