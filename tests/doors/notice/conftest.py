"""Messages as doors see them, made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ipcbus.doors.view import View
from ipcbus.protocol.messages import Header, Meta


def a_view(body: str | bytes = "hi", **more: Any) -> View:
    """A message from bob to alice; `more` are fields of its header, its `View` and its
    data."""
    header = Header(
        id="m-1",
        sender="bob",
        to="alice",
        kind="inform",
        priority=4,
        accepted_at=0,
        expires_at=None,
        thread=None,
        reply_to=None,
        trust="local",
        hops=None,
        attachments=None,
        meta=None,
    )
    fields = {key: more.pop(key) for key in [*more] if key in Header._fields}
    size = len(body if isinstance(body, bytes) else body.encode())
    meta = Meta(more.pop("content_type", None), [], more.pop("data", None), {})
    found = View(header._replace(**fields), meta, body, size, "dev", 200.0, 1, {})
    return found._replace(**more)


@pytest.fixture
def session() -> str:
    """As the three CLIs name theirs."""
    return "01997cd3-6f3e-7a52-8f5b-5f0a3c1e9d11"
