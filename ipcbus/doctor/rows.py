"""What a check says, and how an error becomes such a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from ipcbus.errors import IpcbusError

Status = Literal["ok", "warn", "bad"]


class Row(NamedTuple):
    """One finding.

    Attributes:
        name: what was looked at: "disk", "dev: keys".
        status: "ok"; "warn" works but will not for long, or not as well; "bad" does
            not work.
        mend: what to do about it, for a person; "" when there is nothing to do.
    """

    name: str
    status: Status
    finding: str
    mend: str = ""


Check = Callable[[], "Row | Iterable[Row]"]


def carried_out(name: str, check: Check) -> list[Row]:
    """What `check` finds; an error that it meets is a finding too."""
    try:
        found = check()
        return [found] if isinstance(found, Row) else list(found)
    except IpcbusError as error:
        mend = error.facts.get("mend") or "see what it says"
        return [Row(name, "bad", str(error), str(mend))]
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return [Row(name, "bad", f"{where}{error.strerror}", "see to that")]
