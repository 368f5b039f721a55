"""CURVE keys: made, kept and read.

In files and on the wire a key is hex. ZeroMQ's own Z85 spelling holds `#`, `:`,
`{` and `*`, which YAML, shells and people take for something else. A secret is in
a file of mode 0600 in a folder of mode 0700 and nowhere else: never in argv, the
environment, a log or an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple, TypeGuard

import zmq
from zmq.utils import z85 as _z85

from ipcbus.errors import CannotServe, StaleFile
from ipcbus.networks import files

_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


class KeyPair(NamedTuple):
    """A CURVE key pair, 64 hex digits each. Its repr keeps the secret."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r}, secret=...)"


def generate() -> KeyPair:
    """A new pair. Raises `CannotServe` if this libzmq was built without CURVE."""
    try:
        public, secret = zmq.curve_keypair()
    except zmq.ZMQError as error:
        raise CannotServe(
            network="a network",
            reason="this libzmq has no CURVE encryption; "
            "install pyzmq from a wheel: pip install --force-reinstall pyzmq",
        ) from error
    return KeyPair(_z85.decode(public).hex(), _z85.decode(secret).hex())


def load(path: Path) -> KeyPair:
    """The pair in `path`. Raises `UnsafeFolder` (owner, mode), `StaleFile` (content).

    No error shows anything of what the file holds.
    """
    value = files.read_object(path)
    if value is None:
        raise _spoilt(path, "there is no such key")
    public, secret = value.get("public"), value.get("secret")
    if not (is_key(public) and is_key(secret)):
        raise _spoilt(path, "does not hold a key pair")
    if zmq.curve_public(z85(secret)) != z85(public):
        raise _spoilt(path, "holds a public key that is not the secret's")
    return KeyPair(public, secret)


def create(path: Path) -> KeyPair:
    """The pair in `path`, made if there is none. Of two makers both get the same."""
    files.make_folder(path.parent)
    files.write_object(path, generate()._asdict(), replace=False)
    return load(path)


def put(path: Path, pair: KeyPair) -> KeyPair:
    """A pair in the place of the one in `path`."""
    files.write_object(path, pair._asdict())
    return load(path)


def is_key(text: object) -> TypeGuard[str]:
    """Whether `text` is a key as we write them."""
    return isinstance(text, str) and _HEX.match(text) is not None


def libzmq() -> tuple[str, bool]:
    """The version of libzmq, and whether it can encrypt."""
    return zmq.zmq_version(), zmq.has("curve")


def z85(key: str) -> bytes:
    """A key as ZeroMQ's socket options want it."""
    return _z85.encode(bytes.fromhex(key))


def _spoilt(path: Path, reason: str) -> StaleFile:
    return StaleFile(
        path=str(path),
        reason=reason,
        mend="restore it from a backup, or move it away and join anew",
    )
