"""`--limit KEY=VALUE` of `bridge claude-ipc`, as people write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ipcbus import units
from ipcbus.errors import UsageError

if TYPE_CHECKING:
    from ipcbus_bridges.claude_ipc.limits import Limits, Range


def read(texts: Sequence[str]) -> Limits:
    """Raises `UsageError` for what is no limit, or out of its range."""
    from ipcbus_bridges.claude_ipc.limits import RANGES, Limits

    found: dict[str, float] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if key not in RANGES:
            raise UsageError(
                reason=f"--limit {text}: write KEY=VALUE, where KEY is one of "
                f"{', '.join(RANGES)}"
            )
        if key in found:
            raise UsageError(reason=f"--limit {key} is given twice")
        found[key] = _value(key, value, RANGES[key])
    return Limits()._replace(**found)  # type: ignore[arg-type]


def _value(key: str, text: str, allowed: Range) -> float:
    try:
        found = _READ[allowed.kind](text)
    except ValueError as error:
        raise UsageError(reason=f"--limit {key}: {error}") from error
    if not allowed.least <= found <= allowed.most:
        raise UsageError(reason=f"--limit {key}: {text} is not {span(allowed)}")
    return found


def span(allowed: Range) -> str:
    """ "from 4KiB to 8MiB", say."""
    least, most = (show(allowed, end) for end in (allowed.least, allowed.most))
    return f"from {least} to {most}"


def show(allowed: Range, value: float) -> str:
    """A value of a limit, as it is written."""
    if allowed.kind == "time":
        return units.show_duration(round(value * 1000))
    return units.show_size(int(value)) if allowed.kind == "size" else str(int(value))


def changed(limits: Limits) -> str:
    """Those that are not what they are by default."""
    from ipcbus_bridges.claude_ipc.limits import DEFAULTS, RANGES

    return ", ".join(
        f"{key}={show(RANGES[key], value)}"
        for key, value in limits._asdict().items()
        if value != getattr(DEFAULTS, key)
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= units.MAX_DIGITS):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


_READ: Final[dict[str, Callable[[str], float]]] = {
    "size": units.size_bytes,
    "time": lambda text: units.duration_ms(text) / 1000,
    "count": _count,
}
