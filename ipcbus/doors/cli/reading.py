"""What `check` and `wait` do: read mail, and ack it once it has left this process.

The order is the promise: lease, write, flush, and only then ack. If the reader has
gone or the disk behind stdout is full, nothing is acked, and all of it comes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final

from ipcbus.doors.cli.output import emit
from ipcbus.doors.cli.render import is_long, lines
from ipcbus.doors.cli.session import as_member, confirm
from ipcbus.doors.view import View, document, of_message, of_record
from ipcbus.errors import NothingThere
from ipcbus.networks import find

if TYPE_CHECKING:
    from ipcbus.client.message import Message
    from ipcbus.client.sync import Client

LEASE_S: Final = 60.0
LONGEST_S: Final = 600.0
"""How long the broker is asked to wait before it is asked again."""

SLACK_S: Final = 10.0
MOST: Final = 20
MOST_BYTES: Final = 262_144
"""What one command takes, and for how long, unless it is told otherwise."""


def check(
    *,
    network: str | None = None,
    agent: str | None = None,
    as_json: bool = False,
    peek: bool = False,
    most: int = MOST,
    max_bytes: int = MOST_BYTES,
    no_ack: bool = False,
    lease: float = LEASE_S,
) -> int:
    """Read the mail that is there; the exit code."""
    with as_member(network, agent) as client:
        if peek:
            page = client.peek(most, body_limit=max_bytes)
            views = [of_record(each, client.network) for each in page.records]
            remaining = _waiting(client) - len(views)
            return _show(views, max(0, remaining), as_json=as_json)
        messages, remaining = client.fetch(most, max_bytes, lease=lease)
        return _hand_over(client, messages, remaining, as_json=as_json, ack=not no_ack)


def wait(
    *,
    network: str | None = None,
    agent: str | None = None,
    as_json: bool = False,
    timeout: float | None = None,
    most: int = MOST,
    max_bytes: int = MOST_BYTES,
    no_ack: bool = False,
    lease: float = LEASE_S,
) -> int:
    """Read mail; wait until there is some, or for `timeout` seconds. An ack alone is
    nothing to wake up for: it is read with what comes after it."""
    deadline = float("inf") if timeout is None else monotonic() + timeout
    with as_member(network, agent) as client:
        check_lease(lease)
        messages: Sequence[Message] = ()
        remaining = 0
        while not messages and _has_news(client, deadline):
            messages, remaining = client.fetch(most, max_bytes, lease=lease)
        return _hand_over(client, messages, remaining, as_json=as_json, ack=not no_ack)


def check_lease(lease: float) -> None:
    """Before anything is waited for. Raises `InvalidMessage`."""
    from ipcbus.client.sayable import lease_ms

    lease_ms(lease)


def _has_news(client: Client, deadline: float) -> bool:
    """Whether there is mail that is more than an ack, or comes until `deadline`."""
    while True:
        wait_s = min(max(0.0, deadline - monotonic()), LONGEST_S)
        ms = int(wait_s * 1000)
        (news, *_), _ = client.call("news", 0, ms, timeout=wait_s + SLACK_S)
        if news:
            return True
        if monotonic() >= deadline - 0.001:
            return False


def _waiting(client: Client) -> int:
    (_, _, _, waiting), _ = client.call("whoami")
    assert isinstance(waiting, int)
    return waiting


def _hand_over(
    client: Client,
    messages: Sequence[Message],
    remaining: int,
    *,
    as_json: bool,
    ack: bool,
) -> int:
    """Write, then ack. Whatever is raised on the way, closing releases the leases."""
    views = [of_message(each) for each in messages]
    whole = not as_json and any(map(is_long, views)) and not keeps_history(client)
    paused = not views and _is_paused(client)
    code = _show(views, remaining, as_json=as_json, whole=whole, paused=paused)
    if ack:
        confirm(client, messages)
    else:
        client.close(keep_leases=True)
    return code


def _is_paused(client: Client) -> bool:
    """Whether a person has stopped deliveries: else who reads nothing thinks that there
    is nothing."""
    (_, _, _, paused), _ = client.call("news", 0, 0)
    assert isinstance(paused, bool)
    return paused


def keeps_history(client: Client) -> bool:
    """Whether what was acked can still be read; else people must see it whole now."""
    saved = find(client.network).saved()
    return saved.remote is None and saved.settings.get("history_ms", 1) > 0


def _show(
    views: Sequence[View],
    remaining: int,
    *,
    as_json: bool,
    whole: bool = False,
    paused: bool = False,
) -> int:
    found = {
        "messages": [document(each) for each in views],
        "remaining": remaining,
        **({"paused": True} if paused else {}),
    }

    def human() -> Iterator[str]:
        for each in views:
            yield from lines(each, whole=whole)
            yield ""
        if remaining:
            yield f"{remaining} more"
        if paused:
            yield "a person has paused deliveries; see ipcbus status"
        elif not views:
            yield "no mail"

    emit(found, human, as_json=as_json)
    return 0 if views else NothingThere.exit_code
