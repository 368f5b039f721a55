"""The public face, word for word."""

from __future__ import annotations

import ipcbus

FACE = [
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


def test_the_public_face_is_what_was_promised() -> None:
    assert ipcbus.__all__ == FACE
    assert dir(ipcbus) == FACE


def test_every_name_is_there() -> None:
    for name in ipcbus.__all__:
        assert getattr(ipcbus, name) is not None, name


def test_a_name_that_is_not_is_missing_as_in_any_module() -> None:
    assert not hasattr(ipcbus, "no_such_name")
