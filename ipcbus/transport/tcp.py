"""What the kernel knows of a TCP connection, by a descriptor that is libzmq's.

Each function borrows the descriptor: no descriptor is opened, and none is closed.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

_BYTES_RECEIVED: Final = struct.Struct("=128xQ")  # in struct tcp_info, linux/tcp.h


def bytes_received(fd: int) -> int:
    """Bytes that ever came over a TCP connection; 0 if it is none any more."""
    try:
        peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError:
        return 0
    try:
        info = peer.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED.size
        )
        return int(_BYTES_RECEIVED.unpack(info)[0])
    except (OSError, struct.error):
        return 0
    finally:
        peer.detach()


def shut_down(fd: int) -> None:
    """End it both ways. Raises `OSError` if it has ended already."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        peer.shutdown(socket.SHUT_RDWR)
    finally:
        peer.detach()
