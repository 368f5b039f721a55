"""`spent`: what agents with models have used today, from their accounts alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from ipcbus.adapters.budget import Account, Stopped, day_of
from ipcbus.adapters.ledger import accounts
from ipcbus.doors.cli.options import operator
from ipcbus.doors.cli.output import emit, table
from ipcbus.networks import choose

UNKNOWN = "unknown"


@click.command()
@operator
def spent(network: str | None, as_json: bool) -> None:
    """Show what agents with models have used today.

    And which of them are stopped. A day is one of UTC. What has no price is unknown,
    and not guessed.
    """
    where, now = choose(network), time.time()
    found = accounts(where)
    for account in found.values():
        account.turn_page(now)

    def human() -> Iterator[str]:
        titles = ("agent", "tokens", "money", "stopped")
        rows = [
            (name, f"{one.tokens:,}", _money(one), _until(name, one.stopped))
            for name, one in found.items()
        ]
        yield from table(titles, rows)

    listed = [_described(name, account) for name, account in found.items()]
    document = {"network": where.name, "day": day_of(now), "agents": listed}
    emit(document, human, as_json=as_json)


def _described(name: str, account: Account) -> dict[str, Any]:
    return {
        "name": name,
        "tokens": account.tokens,
        "money": account.money,
        "unpriced": account.unpriced,
        "stopped": account.stopped and account.stopped._asdict(),
    }


def _money(account: Account) -> str:
    if not account.unpriced:
        return f"{account.money:.2f}"
    return f"{account.money:.2f} and {UNKNOWN}" if account.money else UNKNOWN


def _until(name: str, stopped: Stopped | None) -> str:
    if stopped is None:
        return ""
    until = f"until: ipcbus resume {name}"
    if stopped.until:
        until = time.strftime("until %H:%M UTC", time.gmtime(stopped.until))
    return f"{until} ({stopped.reason})"
