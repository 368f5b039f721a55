"""Attachments over a bridge: with every message that has them, and with no other."""

from __future__ import annotations

import hashlib

import pytest

from ipcbus.protocol.messages import Call, RefusedCall
from tests.bridges.cluster import Cluster
from tests.broker.harness import only


def attach(town: Cluster, content: bytes) -> list[list[object]]:
    """alice of dev has uploaded it."""
    dev, sha = town.nets["dev"], hashlib.sha256(content).hexdigest()
    dev.call(b"alice", "blob_begin", sha, len(content))
    if content:
        dev.call(b"alice", "blob_write", sha, 0, body=content)
    dev.call(b"alice", "blob_seal", sha)
    return [[sha, len(content), "a.txt", None]]


@pytest.mark.parametrize("content", [b"", b"data"])
def test_an_attachment_comes_over_with_every_message_that_has_it(
    both: Cluster, content: bytes
) -> None:
    both.bridge("dev", "prod")
    refs = attach(both, content)
    for _ in range(2):
        both.send("alice@dev", "bob@prod", attachments=refs)
        both.run()
    assert len(both.read("bob@prod")) == 2
    prod, sha = both.nets["prod"], refs[0][0]
    assert prod.call(b"bob", "blob_read", sha, 0) == [len(content)]
    assert both.send("bob@prod", "alice@dev", attachments=refs) == "accepted"
    both.run()
    assert len(both.read("alice@dev")) == 1


@pytest.mark.security
def test_a_bridge_that_knows_a_hash_does_not_get_the_bytes(both: Cluster) -> None:
    there, _ = both.bridge("dev", "prod")
    ((sha, size, *_),) = attach(both, b"data")
    end = there.source
    assert end.peer is not None
    asked = Call(1, "blob_read", [sha, 0], b"")
    refusal = only(both.nets["dev"].say(end.peer, asked, end.key), RefusedCall)
    assert refusal.code == "not_permitted"
    assert there.source.ask("blob_begin", sha, size)[0] == [0]
