"""What an old program says, into the network."""

from __future__ import annotations

import json
from typing import Any

import ipcbus
from ipcbus_bridges.claude_ipc.mail import MORE
from ipcbus_bridges.claude_ipc.people import BUS_S
from ipcbus_bridges.claude_ipc.requests import Said


async def send(
    client: ipcbus.AsyncClient, to: str, said: Said, *, future: bool
) -> ipcbus.Receipt:
    """Raises what `Client.send` raises.

    Where the data are more than the data of a message may be, or there is more beside
    them, it goes along in an attachment, and readers of this door get all of it back.
    """
    if not said.more:
        data = said.data if said.data not in (None, {}) else None
        try:
            return await client.send(
                to, said.content, data=data, future=future, timeout=BUS_S
            )
        except (ipcbus.errors.BoundExceeded, ipcbus.errors.InvalidMessage) as error:
            if data is None or not _is_of_data(error):
                raise
        except (UnicodeEncodeError, OverflowError):
            if data is None:
                raise  # it was not the data
    rest: dict[str, Any] = dict(said.more)
    if said.data is not None:
        rest["data"] = said.data
    attached = await client.upload(json.dumps(rest).encode(), MORE, timeout=BUS_S)
    return await client.send(
        to, said.content, attach=(attached,), future=future, timeout=BUS_S
    )


def _is_of_data(error: ipcbus.IpcbusError) -> bool:
    facts = error.facts
    return "data" in (facts.get("bound"), facts.get("field"))
