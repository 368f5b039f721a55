"""`mcp`: the options of the MCP server. What it does is in `doors.mcp`."""

from __future__ import annotations

import os
import signal
from threading import Thread
from typing import Final, NoReturn

import click

from ipcbus.doors.cli.output import remark
from ipcbus.doors.mcp.desks import ONLY, Desks
from ipcbus.doors.text import safe_line
from ipcbus.errors import IpcbusError
from ipcbus.networks import choose, create
from ipcbus.protocol.address import check_name

MISSING: Final = "MCP needs the package mcp 2.3 or newer: pip install 'ipcbus[mcp]'"


@click.command()
@click.option(
    "--network",
    "-n",
    envvar="IPCBUS_NETWORK",
    metavar="NAME[,NAME]",
    help="The network, or several; made if missing.",
)
@click.option(
    "--as",
    "agent",
    envvar="IPCBUS_AGENT",
    metavar="NAME",
    help="Who you are; else the model registers by `profile`.",
)
@click.option(
    "--http",
    "port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve streamable HTTP on 127.0.0.1; 0 for a free port.",
)
@click.option("--json", "as_json", is_flag=True, help="Needless: the protocol is JSON.")
def mcp(network: str | None, agent: str | None, port: int | None, as_json: bool) -> int:
    """Serve the tools to an MCP client.

    Over stdin and stdout, for a client that starts it; or with --http for clients that
    have the token, which is in a file whose path is printed. Starts the broker if
    nobody serves the network.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_at_once)  # until the server has something to lose
    names = tuple(filter(None, (network or "").split(",")))
    for name in (*names, *filter(None, [agent])):
        check_name(name)
    desks = Desks(names, agent or None)
    if port is not None:
        return _serve_http(desks, names, port)
    if agent:
        Thread(target=_connect, args=(desks,), daemon=True).start()
    try:
        from ipcbus.doors.mcp.running import over_stdio
    except ImportError as error:
        _tell_missing(error)
    return over_stdio(desks)


def _serve_http(desks: Desks, names: tuple[str, ...], port: int) -> int:
    try:
        from ipcbus.doors.mcp.http import token_in
        from ipcbus.doors.mcp.running import over_http
    except ImportError as error:
        _tell_missing(error)
    home = create(names[0]) if names else choose(None)
    token, path = token_in(home.folder)
    if desks.agent:
        Thread(target=_announce, args=(desks,), daemon=True).start()
    remark(f"the token is in {path}")
    return over_http(desks, port, token, remark)


def _end_at_once(number: int, frame: object) -> None:
    os._exit(0)


def _announce(desks: Desks) -> None:
    """Clients over HTTP get desks of their own when they come, but mail for the agent
    may come before."""
    _connect(desks)
    desks.leave(ONLY)


def _connect(desks: Desks) -> None:
    """Ahead of the first call, and while the SDK is loaded. If it fails, the first call
    tries again and its answer says why."""
    try:
        for _ in desks.of(ONLY).clients():
            pass
    except (IpcbusError, OSError) as error:
        remark(safe_line(str(error)))


def _tell_missing(error: ImportError) -> NoReturn:
    """A package is not there; but a fault of our own stays one."""
    if (error.name or "").startswith("ipcbus"):
        raise error
    raise IpcbusError(reason=MISSING) from error
