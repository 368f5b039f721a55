"""`agent`: a model, or any program, as a member of a network."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ipcbus.adapters.base import Limits, Options
from ipcbus.adapters.budget import UNBOUNDED, Bounds
from ipcbus.adapters.serving import OFFERED, USUAL, Wanted, serve
from ipcbus.config.agents import SHARED
from ipcbus.doors.cli.agent_file import prices_from, text_of, wanted_from
from ipcbus.doors.cli.options import duration, member, typed
from ipcbus.doors.cli.output import emit, remark
from ipcbus.doors.text import safe_line
from ipcbus.errors import UsageError
from ipcbus.networks import choose


@click.command()
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Run the agent of this configuration that --as names.",
)
@click.option("--adapter", metavar="NAME", help="What it speaks; see `adapters list`.")
@click.option("--model", default="", metavar="NAME", help="As its platform calls it.")
@click.option("--base-url", default="", metavar="URL", help="Of a compatible server.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="For the adapter; see docs/adapters.md.",
)
@click.option(
    "--persona",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A text that tells the model who it is.",
)
@click.option(
    "--tools",
    default=",".join(USUAL),
    metavar="NAMES",
    help=f"Tools of the bus that it may call, of {', '.join(OFFERED)}; or none.",
)
@click.option("--topic", "topics", multiple=True, help="A topic to join.")
@click.option("--human", default="", metavar="NAME", help="Who is told when it stops.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="KEY=NUMBER",
    help=f"A bound of its own: {', '.join(Bounds._fields)}. 0 is none.",
)
@click.option(
    "--network-limit",
    "network_limits",
    multiple=True,
    metavar="KEY=NUMBER",
    help=f"For all agents of the network together: {', '.join(SHARED)}.",
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What a million tokens cost, by model.",
)
@click.option("--max-tokens", type=click.IntRange(1), default=4096, help="An answer.")
@click.option(
    "--window", type=click.IntRange(100), default=16_000, help="Tokens shown."
)
@click.option("--conversations", type=click.IntRange(1, 64), default=4, help="At once.")
@click.option(
    "--timeout", type=duration, default=300.0, help="Of one request to the model."
)
@click.option("--no-start", is_flag=True, help="Start no broker; end if there is none.")
@member
def agent(
    command: tuple[str, ...],
    file: Path | None,
    network: str | None,
    agent: str | None,
    as_json: bool,
    no_start: bool,
    **given: Any,
) -> None:
    """Run an agent whose mail is answered by a model.

    It waits for mail, asks the model, sends its answer as a reply, and acks only then.
    COMMAND is for --adapter command: any program, text in, text out. Ctrl-C ends it.
    """
    if file is None:
        wanted = _wanted(agent, network, command, given)
    else:
        _check_alone(("command", *given))
        wanted = wanted_from(file, agent, network if typed("network") else None)
        os.chdir(file.absolute().parent)  # where its paths begin
    wanted = wanted._replace(start=not no_start)

    def tell(line: str) -> None:
        if as_json:
            emit({"said": line}, lambda: (), as_json=True)
        else:
            remark(safe_line(line))

    asyncio.run(_until_signalled(wanted, tell))


async def _until_signalled(wanted: Wanted, tell: Callable[[str], Any]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await serve(wanted, stopping, tell)


def _check_alone(names: Sequence[str]) -> None:
    """What stands in a file is not said a second time: which of them would hold?"""
    for parameter in click.get_current_context().command.params:
        if parameter.name in names and typed(parameter.name):
            words = "COMMAND" if parameter.name == "command" else parameter.opts[0]
            reason = f"with --config all of it stands in the file; leave {words} out"
            raise UsageError(reason=reason)


def _wanted(
    name: str | None,
    network: str | None,
    command: tuple[str, ...],
    given: Mapping[str, Any],
) -> Wanted:
    if not name:
        raise UsageError(reason="who shall it be? Say --as NAME, or set IPCBUS_AGENT")
    if not given["adapter"]:
        reason = "by which adapter? Say --adapter NAME; see: ipcbus adapters list"
        raise UsageError(reason=reason)
    extra = dict(_pair(text, "--option") for text in given["options"])
    options = Options(given["model"], given["base_url"], command, extra)
    tools = [] if given["tools"] == "none" else given["tools"].split(",")
    return Wanted(
        name,
        network or choose().name,
        given["adapter"],
        options,
        tools=tools,
        topics=given["topics"],
        persona=text_of(given["persona"]),
        human=given["human"],
        bounds=_bounds(Bounds(), given["limits"], "--limit", Bounds._fields),
        together=_bounds(
            UNBOUNDED, given["network_limits"], "--network-limit", tuple(SHARED)
        ),
        prices=prices_from(given["prices"]),
        limits=Limits(given["max_tokens"], given["timeout"]),
        window=given["window"],
        conversations=given["conversations"],
    )


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(reason=f"{option} takes KEY=VALUE, not {text!r}")
    return key, value


def _bounds(
    usual: Bounds, given: Sequence[str], option: str, names: Sequence[str]
) -> Bounds:
    found: dict[str, Any] = {}
    for text in given:
        key, value = _pair(text, option)
        if key not in names:
            known = ", ".join(names)
            raise UsageError(reason=f"{option}: there is no {key!r}, only {known}")
        try:
            kind = type(getattr(usual, key))
            found[key] = kind(value)
        except ValueError as error:
            raise UsageError(reason=f"{option}: {text!r} is no number") from error
        if not found[key] >= 0:
            raise UsageError(reason=f"{option}: {text!r} is below 0")
    return usual._replace(**found)
