"""The little of NaCl that CURVE (RFC 26) needs, in plain Python: slow, for tests
that say what no libzmq would say. Nothing here is constant in time: no secret of
anybody is safe in it.

Curve25519 as RFC 7748 has it, Salsa20 and Poly1305 as Bernstein's papers do.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

P: Final = 2**255 - 19
MASK: Final = 0xFFFFFFFF
SIGMA: Final = struct.unpack("<4I", b"expand 32-byte k")
BASE: Final = (9).to_bytes(32, "little")

# Which words a quarter round takes: four columns, then four rows.
ROUND: Final = (
    *((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)),
    *((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)),
)


def scalarmult(secret: bytes, point: bytes = BASE) -> bytes:
    """X25519."""
    k = int.from_bytes(secret, "little")
    k = k & ~7 & (2**255 - 1) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in range(254, -1, -1):
        if swap := k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def _rounds(state: Sequence[int]) -> list[int]:
    x = list(state)
    for _ in range(10):
        for a, b, c, d in ROUND:
            for to, one, other, by in (
                (b, a, d, 7),
                (c, b, a, 9),
                (d, c, b, 13),
                (a, d, c, 18),
            ):
                t = x[one] + x[other] & MASK
                x[to] ^= (t << by | t >> 32 - by) & MASK
    return x


def _state(key: bytes, middle: bytes) -> list[int]:
    k, n = struct.unpack("<8I", key), struct.unpack("<4I", middle)
    return [
        *(SIGMA[0], *k[:4], SIGMA[1], *n),
        *(SIGMA[2], *k[4:], SIGMA[3]),
    ]


def hsalsa20(key: bytes, middle: bytes) -> bytes:
    x = _rounds(_state(key, middle))
    return struct.pack("<8I", *(x[at] for at in (0, 5, 10, 15, 6, 7, 8, 9)))


def xsalsa20(key: bytes, nonce: bytes, length: int) -> bytes:
    """The key stream."""
    inner = hsalsa20(key, nonce[:16])
    stream = b""
    for block in range(-(-length // 64)):
        state = _state(inner, nonce[16:] + block.to_bytes(8, "little"))
        words = zip(state, _rounds(state), strict=True)
        stream += struct.pack("<16I", *(a + b & MASK for a, b in words))
    return stream[:length]


def poly1305(key: bytes, text: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(text), 16):
        block = text[at : at + 16] + b"\1"
        total = (total + int.from_bytes(block, "little")) * r % (2**130 - 5)
    total += int.from_bytes(key[16:], "little")
    return (total % 2**128).to_bytes(16, "little")


def shared(secret: bytes, public: bytes) -> bytes:
    """The key that two share."""
    return hsalsa20(scalarmult(secret, public), bytes(16))


def seal(key: bytes, nonce: bytes, text: bytes) -> bytes:
    stream = xsalsa20(key, nonce, 32 + len(text))
    sealed = _xor(text, stream[32:])
    return poly1305(stream[:32], sealed) + sealed


def unseal(key: bytes, nonce: bytes, box: bytes) -> bytes:
    """Raises `ValueError` if it was not sealed so."""
    stream = xsalsa20(key, nonce, 16 + len(box))
    if poly1305(stream[:32], box[16:]) != box[:16]:
        raise ValueError("not sealed with this key and nonce")
    return _xor(box[16:], stream[32:])


def _xor(one: bytes, other: bytes) -> bytes:
    mixed = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return mixed.to_bytes(len(one), "little")
