"""`up`: serve a network, here or detached, or all networks of a configuration."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ipcbus.doors.cli.options import operator, typed
from ipcbus.doors.cli.output import emit, remark
from ipcbus.doors.text import safe_line
from ipcbus.errors import AlreadyServing, IpcbusError, UsageError
from ipcbus.networks import (
    MEMORY,
    STORES,
    VOLATILE,
    BrokerInfo,
    Network,
    choose,
    create,
)
from ipcbus.protocol.address import fold


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Run and look after all that this file describes, or --network of it.",
)
@click.option(
    "--host", metavar="ADDRESS", help="Where to listen; this machine only, by default."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0 for a free one at each start."
)
@click.option(
    "--plain/--encrypted",
    default=None,
    help="Without keys and encryption; on this machine only.",
)
@click.option(
    "--store",
    type=click.Choice(STORES),
    help="Keep messages on disk, or only in the memory of the broker.",
)
@click.option("--detach", is_flag=True, help="Return when it is ready; it runs on.")
@operator
def up(
    network: str | None,
    as_json: bool,
    config: Path | None,
    host: str | None,
    port: int | None,
    plain: bool | None,
    store: str | None,
    detach: bool,
) -> int:
    """Run the broker of a network, or all of a configuration.

    The network is made if need be; what was chosen is kept for the next time. Runs in
    the foreground until Ctrl-C, unless --detach is given. With --store memory the
    network is volatile: messages are lost when the broker ends.
    """
    asked = {"host": host, "port": port, "plain": plain, "store": store}
    given = {name: value for name, value in asked.items() if value is not None}
    if config is not None and not (network and typed("network")):
        if given or detach:
            raise UsageError(reason="with --config, say --network for one of its own")
        return _supervise(config, as_json)
    if config is not None:
        chosen = _described(config, str(network))
    else:
        chosen = create(network) if network else choose()
    if detach:
        _announce(_detached(chosen, given), as_json)
        return 0
    _settle(chosen, given)
    return _serve(chosen, as_json)


def _described(file: Path, name: str) -> Network:
    """One network of a configuration, made as it is described there."""
    from ipcbus.config import load
    from ipcbus.transport.supervise import set_up

    described = load(file).networks
    for each in described.values():
        if fold(each.name) == fold(name):
            return set_up(each)[0]
    known = ", ".join(described)
    raise UsageError(reason=f"{file} describes no network {name}, only: {known}")


def _serve(network: Network, as_json: bool) -> int:
    from ipcbus.transport.serve import run

    said: list[BrokerInfo] = []

    def ready(info: BrokerInfo) -> None:
        if not said:  # it is told again when an epoch begins anew
            _announce(info, as_json)
        said.append(info)

    return run(network, ready=ready)


def _settle(network: Network, given: dict[str, Any]) -> None:
    """Keep what was asked for, unless a broker serves: then it would not be true."""
    saved = network.saved()
    if saved.remote is not None:
        raise UsageError(reason=f"{network.name} is served at {saved.remote}, not here")
    if network.is_served():
        raise _already(network, given)
    wanted = saved._replace(**given)
    if wanted == saved:
        return
    if wanted.store != saved.store:
        _check_store(network, wanted.store)
    network.save(wanted)


def _check_store(network: Network, store: str) -> None:
    from ipcbus.transport.volatile import check_change

    past = check_change(network, store)
    if past:
        remark(
            f"settled messages of {network.name} ({past}) stay on disk and are not "
            "shown until it is durable again"
        )


def _detached(network: Network, given: dict[str, Any]) -> BrokerInfo:
    """Start it; one that serves already just as asked is as good."""
    from ipcbus.transport.launch import ensure

    if not network.is_served():
        _settle(network, given)
    info = ensure(network)
    if not _is_as_asked(info, given):
        raise _already(network, given)
    return info


def _is_as_asked(info: BrokerInfo, given: dict[str, Any]) -> bool:
    host, _, port = info.endpoint.removeprefix("tcp://").rpartition(":")
    there = {
        "host": host.strip("[]"),
        "port": int(port),
        "plain": info.plain,
        "store": info.store,
    }
    return all(there[name] == value or value == 0 for name, value in given.items())


def _already(network: Network, given: dict[str, Any]) -> IpcbusError:
    info = network.broker_info()
    if info is not None and given.get("store", info.store) != info.store:
        lost = f", it is {VOLATILE}" if info.store == MEMORY else ""
        return UsageError(
            reason=f"a broker serves {network.name} with --store {info.store}; to "
            f"change that, stop it first (ipcbus down --network {network.name}{lost})"
        )
    return AlreadyServing(
        network=network.name,
        pid=info.pid if info else "unknown",
        endpoint=info.endpoint if info else "not reachable yet",
    )


def _announce(info: BrokerInfo, as_json: bool) -> None:
    def human() -> Iterator[str]:
        yield f"network {info.network} is up at {info.endpoint} (pid {info.pid})"
        if volatile:
            yield f"network {info.network} is {VOLATILE}"

    volatile = info.store == MEMORY
    found = {
        "network": info.network,
        "endpoint": info.endpoint,
        "pid": info.pid,
        "volatile": volatile,
    }
    emit(found, human, as_json=as_json)


def _supervise(file: Path, as_json: bool) -> int:
    from ipcbus.config import load
    from ipcbus.transport.supervise import run

    return run(load(file), lambda info: _announce(info, as_json), _note)


def _note(network: str, sentence: str) -> None:
    print(f"{network}: {safe_line(sentence)}", file=sys.stderr, flush=True)  # noqa: T201
