"""`grant`: how the owner of a network narrows what its links may do."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ipcbus.doors.cli.options import json_option
from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.reach import as_owner
from ipcbus.doors.text import safe_line
from ipcbus.errors import UsageError

_WAYS = {"out": "{} -> {}", "in": "{} <- {}"}


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--out", "is_out", is_flag=True, help="What goes from A to B; as usual.")
@click.option("--in", "is_in", is_flag=True, help="What comes from B to A.")
@click.option(
    "--allow", multiple=True, metavar="RULE", help="'FROM -> TO': only this passes."
)
@click.option(
    "--deny", multiple=True, metavar="RULE", help="'FROM -> TO': this never passes."
)
@click.option("--clear", is_flag=True, help="Narrow nothing.")
@click.option("--show", is_flag=True, help="Only show what is granted.")
@json_option
def grant(
    a: str,
    b: str,
    is_out: bool,
    is_in: bool,
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    clear: bool,
    show: bool,
    as_json: bool,
) -> None:
    """Narrow what a link may take out or bring in.

    For the owner of A, whoever runs the bridge. What is given takes the place of what
    was granted that way; without allows all passes that is not denied. A bridge's own
    rules come on top of it. FROM and TO are names, where * stands for any letters, or a
    topic as TO.
    """
    if is_out and is_in:
        raise UsageError(reason="say --out or --in; each has its own rules")
    changes = bool(allow or deny or clear)
    if (clear and (allow or deny)) or (show and changes):
        raise UsageError(reason="say rules, --clear or --show")
    way = "in" if is_in else "out"
    rules = [f"allow {_line(each)}" for each in allow]
    rules += [f"deny {_line(each)}" for each in deny]
    with as_owner(a) as client:
        text = "\n".join(rules) if changes else None
        (into, out), _ = client.call("grant", b, way, text)
        name = client.network
    granted = {"out": out, "in": into}

    def human() -> Iterator[str]:
        for each in ("in",) if is_in else ("out",) if is_out else ("out", "in"):
            yield safe_line(_WAYS[each].format(name, b))
            yield from (safe_line(f"  {rule}") for rule in granted[each])
            if not granted[each]:
                yield "  not narrowed"

    document = {"network": name, "peer": b, "changed": changes, **granted}
    emit(document, human, as_json=as_json)


def _line(rule: str) -> str:
    """On one line: the broker takes each line for a rule."""
    return " ".join(rule.split())
