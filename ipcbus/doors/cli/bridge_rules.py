"""The rules that a link goes by: those of its bridge, or those of the command line.

A bridge tells in its reports from which file and options it made them, and their
revision. They are made anew from these here; that they are the same is told by the
revision, never assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ipcbus.errors import ConfigError
from ipcbus_bridges import rulefile
from ipcbus_bridges.rules import LinkRules, Rules


class Going(NamedTuple):
    """Rules of a link.

    Attributes:
        origin: "running" (of its bridge), "given" or "default".
        note: what is to be known of them; "" if nothing is.
    """

    rules: Rules
    link: LinkRules
    origin: str
    note: str = ""


def given(
    a: str, b: str, path: Path | None, allow: Sequence[str], deny: Sequence[str]
) -> Going:
    """What a bridge that is started with these would go by. Raises `ConfigError`."""
    rules = rulefile.build(allow, deny, path, a, b)
    origin = "given" if path or allow or deny else "default"
    return Going(rules, rules.link(a, b), origin)


def running(source: str, destination: str, report: dict[str, Any]) -> Going | None:
    """Those that the bridge of a report goes by; None if it does not tell.

    In rules that name no network an arrow leads from the first network of the bridge to
    the second one, and which is the first is told by the revision alone.
    """
    said = report.get("rules") or {}
    if "revision" not in said:
        return None
    path = Path(said["file"]) if said.get("file") else None
    made: list[Going] = []
    problem = ""
    for ends in ((source, destination), (destination, source)):
        try:
            rules = rulefile.build(said["allow"], said["deny"], path, *ends)
        except ConfigError as error:
            problem = str(error)
            continue
        link = rules.link(source, destination)
        if link.revision == said["revision"]:
            return Going(rules, link, "running")
        made.append(Going(rules, link, "running"))
    if not made:
        raise ConfigError(
            file=str(path or "the rules"),
            path="of the bridge",
            reason=f"cannot be read here: {problem}",
        )
    note = f"the bridge goes by revision {said['revision']}; these are of the file now"
    if untold := said.get("untold"):
        note = (
            f"the bridge goes by revision {said['revision']}; {untold} rules of its "
            "command line were too many to be told here, and are left out"
        )
    return made[0]._replace(note=note)
