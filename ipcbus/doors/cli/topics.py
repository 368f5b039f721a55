"""`join`, `leave`, `topics`: who hears what is sent to a topic."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ipcbus.doors.cli.options import member
from ipcbus.doors.cli.output import emit, table
from ipcbus.doors.cli.session import as_either, as_member
from ipcbus.doors.text import safe_line

_PATTERN = click.argument("pattern")


@click.command()
@_PATTERN
@member
def join(pattern: str, network: str | None, agent: str | None, as_json: bool) -> None:
    """Join a topic, or all that match a pattern.

    A topic is words joined by dots (builds.linux). In a PATTERN, * stands for one word
    and a last ** for any rest (builds.**).
    """
    with as_member(network, agent) as client:
        joined = client.join(_bare(pattern))
    _tell(joined, as_json)


@click.command()
@_PATTERN
@member
def leave(pattern: str, network: str | None, agent: str | None, as_json: bool) -> None:
    """Leave a topic or pattern.

    It is spelled as it was joined.
    """
    with as_member(network, agent) as client:
        joined = client.leave(_bare(pattern))
    _tell(joined, as_json)


@click.command()
@member
def topics(network: str | None, agent: str | None, as_json: bool) -> None:
    """List the topics and who joined them."""
    with as_either(network, agent) as client:
        found = client.topics()

    def human() -> Iterator[str]:
        rows = [(f"#{pattern}", ", ".join(agents)) for pattern, agents in found]
        yield from table(("topic", "agents"), rows)

    document = [{"topic": pattern, "agents": agents} for pattern, agents in found]
    emit({"topics": document}, human, as_json=as_json)


def _bare(pattern: str) -> str:
    """`#builds` and `builds` are the same here, where only a topic can stand."""
    return pattern.removeprefix("#")


def _tell(joined: list[str], as_json: bool) -> None:
    def human() -> Iterator[str]:
        yield "joined: " + (
            ", ".join(f"#{safe_line(each)}" for each in joined) or "none"
        )

    emit({"joined": joined}, human, as_json=as_json)
