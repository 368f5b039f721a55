"""`adapters`: which there are, and whether one would work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from ipcbus.doors.cli.options import duration, json_option
from ipcbus.doors.cli.output import emit, paint, remark, table
from ipcbus.doors.text import safe_line
from ipcbus.errors import AdapterFailed, IpcbusError, TimedOut, UsageError

if TYPE_CHECKING:
    from ipcbus.adapters.base import Finding, Options

CHECK_S: Final = 90.0
"""Seconds for a check: a model on a slow machine is loaded first."""

_STYLES: Final = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.group()
def adapters() -> None:
    """List and check adapters, by which models are agents."""


@adapters.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List those that can be used.

    A package that is broken is left out, with a line on stderr that says why.
    """
    from ipcbus.adapters.finding import entries

    found = entries(remark)

    def human() -> Iterator[str]:
        rows = [
            (one.name, f"{one.package} {one.version}", _needs(one.needs))
            for one in found
        ]
        yield from table(("adapter", "of", "needs"), rows)

    emit({"adapters": [one._asdict() for one in found]}, human, as_json=as_json)


def _needs(extra: str) -> str:
    return f"ipcbus[{extra}]" if extra else ""


@adapters.command()
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--model", default="", metavar="NAME", help="As its platform calls it.")
@click.option("--base-url", default="", metavar="URL", help="Of a compatible server.")
@click.option(
    "--option",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="For the adapter; see docs/adapters.md.",
)
@click.option(
    "--timeout",
    type=duration,
    default=CHECK_S,
    metavar="DURATION",
    help="How long it may take.",
)
@json_option
def check(
    name: str,
    command: tuple[str, ...],
    model: str,
    base_url: str,
    pairs: Sequence[str],
    timeout: float,
    as_json: bool,
) -> int:
    """Look whether an adapter would work: its library, key, endpoint and model.

    The model is asked one short question. COMMAND is the program of the adapter
    `command`. No key is ever printed. Ends with 1 if anything failed.
    """
    from ipcbus.adapters.base import Options

    options = Options(model, base_url, command, dict(map(_pair, pairs)))
    findings = asyncio.run(_findings(name, options, timeout))
    is_ready = all(one.status != "failed" for one in findings)
    document = {
        "adapter": name,
        "ready": is_ready,
        "findings": [one._asdict() for one in findings],
    }
    emit(document, lambda: map(_line, findings), as_json=as_json)
    return 0 if is_ready else IpcbusError.exit_code


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(reason=f"--option takes KEY=VALUE, not {text!r}")
    return key, value


async def _findings(name: str, options: Options, timeout: float) -> list[Finding]:
    """What it found of itself. A library or a key that is missing is a finding too."""
    from ipcbus.adapters.base import Finding
    from ipcbus.adapters.finding import find, let_go, make

    find(name, remark)  # that there is no such adapter is no finding of it
    try:
        adapter = make(name, options, remark)
    except AdapterFailed as error:
        return [Finding("failed", str(error))]
    try:
        async with asyncio.timeout(timeout):
            return [Finding(*one) for one in await adapter.check()]
    except TimeoutError as error:
        raise TimedOut(what=f"adapters check {name}", seconds=timeout) from error
    except Exception as error:  # noqa: BLE001  of a plug-in, whatever it is
        return [Finding("failed", _words(error))]
    finally:
        await let_go(name, adapter, remark)


def _words(error: Exception) -> str:
    is_ours = isinstance(error, IpcbusError)
    return str(error) if is_ours else f"{type(error).__name__}: {error}"


def _line(found: Finding) -> str:
    status = paint(f"{found.status:<7}", _STYLES.get(found.status, "red"))
    return f"{status}  {safe_line(found.text)}"
