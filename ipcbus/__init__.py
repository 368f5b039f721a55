"""ipcbus: a durable message bus for AI agents and scripts.

    import ipcbus

    with ipcbus.connect("dev", agent="alice") as bus:
        bus.send("bob", "the build is green")
        for message in bus:
            print(message.sender, message.body)
            message.ack()

Names are loaded when they are first used, so that `import ipcbus` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ipcbus.version import __version__

if TYPE_CHECKING:
    import ipcbus.client.links as links
    import ipcbus.config.document as documents
    import ipcbus.errors as errors
    import ipcbus.testing as testing
    import ipcbus.units as units
    from ipcbus.client.aio import AsyncClient, connect_async
    from ipcbus.client.connect import connect
    from ipcbus.client.invitations import invite, join_network
    from ipcbus.client.message import (
        AsyncMessage,
        Attachment,
        Message,
        Outgoing,
        Receipt,
    )
    from ipcbus.client.pending import Pending
    from ipcbus.client.sync import Client
    from ipcbus.errors import IpcbusError
    from ipcbus.protocol.address import Address

_WHERE = {
    "Address": "ipcbus.protocol.address",
    "AsyncClient": "ipcbus.client.aio",
    "AsyncMessage": "ipcbus.client.message",
    "Attachment": "ipcbus.client.message",
    "Client": "ipcbus.client.sync",
    "IpcbusError": "ipcbus.errors",
    "Message": "ipcbus.client.message",
    "Outgoing": "ipcbus.client.message",
    "Pending": "ipcbus.client.pending",
    "Receipt": "ipcbus.client.message",
    "connect": "ipcbus.client.connect",
    "connect_async": "ipcbus.client.aio",
    "documents": "ipcbus.config.document",
    "errors": "ipcbus.errors",
    "invite": "ipcbus.client.invitations",
    "join_network": "ipcbus.client.invitations",
    "links": "ipcbus.client.links",
    "testing": "ipcbus.testing",
    "units": "ipcbus.units",
}

__all__ = [
    "Address",
    "AsyncClient",
    "AsyncMessage",
    "Attachment",
    "Client",
    "IpcbusError",
    "Message",
    "Outgoing",
    "Pending",
    "Receipt",
    "__version__",
    "connect",
    "connect_async",
    "documents",
    "errors",
    "invite",
    "join_network",
    "links",
    "testing",
    "units",
]


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(where)
    found = getattr(module, name, module)  # a module goes by the name it has here
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
