"""Frames to messages and back: msgpack, strict, bounded.

    message = head body
    head    = msgpack array, a verb and its fields
    body    = bytes that nobody decodes; empty where the verb has none

Decoders raise `RemoteProtocolError` and nothing else; any other exception that
leaves them is a bug. Encoders trust their caller: what they are given was checked
when it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgpack import Packer, packb

from ipcbus.errors import RemoteProtocolError
from ipcbus.protocol import limits
from ipcbus.protocol.address import are_ids, is_id, is_ref
from ipcbus.protocol.alike import fold_headers, fold_moves, unfold, whole
from ipcbus.protocol.crossing import read_groups, read_move
from ipcbus.protocol.fields import (
    is_attachments,
    is_facts,
    is_lease,
    is_nack,
    is_rows,
    is_runs,
    is_uints,
    need,
    opt_text,
    shape,
    text,
    uint,
)
from ipcbus.protocol.messages import (
    SENDABLE_KINDS,
    Accepted,
    Answer,
    BrokerMessage,
    Bye,
    Call,
    ClientMessage,
    Closed,
    Credit,
    Deliver,
    Draft,
    Header,
    Hello,
    Move,
    Ping,
    Pong,
    RefusedCall,
    Return,
    Send,
    Settle,
    Settled,
    Verb,
    Welcome,
    Xfer,
)
from ipcbus.protocol.pieces import (
    check_meta,
    join_bodies,
    load,
    read_header,
    split_bodies,
)

Frames = tuple[bytes, bytes]

_M = TypeVar("_M", bound=ClientMessage | BrokerMessage)
_Decoder = Callable[[list[Any], bytes], _M]


# --- encoding ----------------------------------------------------------------


def encode(message: ClientMessage | BrokerMessage, minor: int = limits.MINOR) -> Frames:
    """The two frames of any message but DELIVER, which `encode_deliver` makes.

    `minor`: of the peer.
    """
    match message:
        case Send(ref, drafts, bodies):
            sizes, body = join_bodies(bodies)
            said = drafts if minor >= limits.ALIKE else whole(drafts)
            return packb((Verb.SEND.value, ref, said, sizes)), body
        case Xfer(ref, epoch, moves, bodies):
            sizes, body = join_bodies(bodies)
            told = fold_moves(moves) if minor >= limits.ALIKE else moves
            return packb((Verb.XFER.value, ref, epoch, told, sizes)), body
        case Call(ref, name, args, body):
            return packb((Verb.CALL.value, ref, name, args)), body
        case Answer(ref, value, body):
            return packb((Verb.ANSWER.value, ref, value)), body
    return packb((_VERBS[type(message)].value, *message)), b""


def encode_deliver(
    seqs: Sequence[int],
    attempts: Sequence[int],
    headers: Sequence[bytes],
    bodies: Sequence[bytes],
    minor: int = limits.MINOR,
) -> Frames:
    """DELIVER from headers that are already packed: they are joined, not decoded."""
    sizes, body = join_bodies(bodies)
    packer = Packer(autoreset=False)
    packer.pack_array_header(5)
    packer.pack(Verb.DELIVER.value)
    packer.pack(seqs)
    packer.pack(attempts)
    packer.pack(sizes)
    packer.pack_array_header(len(headers))
    said = fold_headers(headers) if minor >= limits.ALIKE else b"".join(headers)
    return packer.bytes() + said, body


_VERBS: dict[type[Any], Verb] = {
    Hello: Verb.HELLO,
    Bye: Verb.BYE,
    Ping: Verb.PING,
    Credit: Verb.CREDIT,
    Settle: Verb.SETTLE,
    Return: Verb.RETURN,
    Welcome: Verb.WELCOME,
    Closed: Verb.CLOSED,
    Pong: Verb.PONG,
    Accepted: Verb.ACCEPTED,
    Settled: Verb.SETTLED,
    RefusedCall: Verb.REFUSED,
}


# --- decoding ----------------------------------------------------------------


def decode_client(head: bytes, body: bytes) -> ClientMessage:
    """What a client said. Raises `RemoteProtocolError`."""
    need(len(head) <= limits.MAX_HEAD, "the head frame is too long")
    return _decode(head, body, _CLIENT)


def decode_broker(head: bytes, body: bytes) -> BrokerMessage:
    """What a broker said. Raises `RemoteProtocolError`.

    Its heads may be longer than those of clients: a list of agents is one.
    """
    need(len(head) <= limits.MAX_FRAME, "the head frame is too long")
    return _decode(head, body, _BROKER)


def _decode(head: bytes, body: bytes, table: dict[int, _Decoder[_M]]) -> _M:
    fields = load(head)
    need(type(fields) is list and len(fields) > 0, "the head is not an array")
    verb = fields[0]
    need(type(verb) is int, "the head does not begin with a verb")
    decoder = table.get(verb)
    if decoder is None:
        raise RemoteProtocolError(reason=f"verb {verb} is unknown here")
    return decoder(fields, body)


def _hello(f: list[Any], body: bytes) -> Hello:
    # Only the two version numbers are read from a version that is not ours: what
    # follows them may have changed its meaning.
    need(len(f) >= 3 and uint(f[1]) and uint(f[2]), "HELLO without a version")
    if f[1] != limits.MAJOR:
        return Hello(f[1], f[2], 0, "")
    shape(f, body, 5, extra=f[2] > limits.MINOR)
    need(uint(f[3]) and text(f[4], limits.MAX_TEXT), "HELLO has a wrong field")
    return Hello(*f[1:5])


def _bye(f: list[Any], body: bytes) -> Bye:
    shape(f, body, 2)
    need(type(f[1]) is bool, "BYE has a wrong field")
    return Bye(f[1])


def _ping(f: list[Any], body: bytes) -> Ping:
    shape(f, body, 2)
    need(uint(f[1]), "PING has a wrong field")
    return Ping(f[1])


def _send(f: list[Any], body: bytes) -> Send:
    need(len(f) == 4 and uint(f[1]), "SEND has a wrong shape")
    raws = f[2]
    need(
        type(raws) is list and 0 < len(raws) <= limits.MAX_BATCH,
        "SEND carries no messages, or too many",
    )
    bodies = split_bodies(f[3], body, len(raws))
    need(type(raws[0]) is list, "the first of a list is no whole row")
    need(are_ids([raw for raw in raws if type(raw) is str]), "an id alone is wrong")
    drafts = [raw if type(raw) is str else _draft(raw) for raw in raws]
    return Send(f[1], drafts, bodies)


def _draft(raw: Any) -> Draft:
    """One header. The hot path of a broker: what is None costs no call."""
    need(type(raw) is list and len(raw) == 10, "a header is not an array of 10")
    draft: Draft = tuple.__new__(Draft, raw)  # the length is known: no need to count
    id_, to, kind, priority, ttl_ms, thread, reply_to, flags, attached, meta = raw
    need(
        type(id_) is str
        and is_id(id_)
        and type(to) is str
        and 0 < len(to) <= limits.MAX_TO
        and type(kind) is str
        and kind in SENDABLE_KINDS
        and type(priority) is int
        and 0 <= priority < limits.PRIORITIES
        and type(flags) is int
        and 0 <= flags <= limits.MAX_UINT,
        "a header has a wrong id, to, kind, priority or flags",
    )
    if ttl_ms is not None:
        need(type(ttl_ms) is int and 0 < ttl_ms <= limits.MAX_TTL_MS, "a wrong ttl_ms")
    if thread is not None:
        need(type(thread) is str and is_ref(thread), "a wrong thread")
    if reply_to is not None:
        need(type(reply_to) is str and is_ref(reply_to), "a wrong reply_to")
    if attached is not None:
        need(is_attachments(attached), "wrong attachments")
    if meta is not None:
        check_meta(meta)
    return draft


def _credit(f: list[Any], body: bytes) -> Credit:
    shape(f, body, 5)
    need(
        uint(f[1])
        and uint(f[2], limits.MAX_CREDIT)
        and uint(f[3], limits.MAX_CREDIT_BYTES)
        and is_lease(f[4]),
        "CREDIT has a wrong field",
    )
    return Credit(*f[1:])


def _settle(f: list[Any], body: bytes) -> Settle:
    shape(f, body, 6)
    settle = Settle(*f[1:])
    need(
        uint(settle.ref)
        and is_runs(settle.acks)
        and is_runs(settle.releases)
        and is_rows(settle.nacks, 4)
        and is_rows(settle.extends, 3)
        and all(is_nack(nack) for nack in settle.nacks)
        and all(
            uint(seq) and uint(attempt) and is_lease(lease)
            for seq, attempt, lease in settle.extends
        ),
        "SETTLE has a wrong field",
    )
    return settle


def _call(f: list[Any], body: bytes) -> Call:
    need(
        len(f) == 4
        and uint(f[1])
        and text(f[2], limits.MAX_NAME)
        and type(f[3]) is list
        and len(f[3]) <= 16
        and all(arg is None or type(arg) is str or uint(arg) for arg in f[3]),
        "CALL has a wrong shape",
    )
    return Call(f[1], f[2], f[3], body)


def _xfer(f: list[Any], body: bytes) -> Xfer:
    need(len(f) == 5 and uint(f[1]) and uint(f[2]), "XFER has a wrong shape")
    raws = f[3]
    need(
        type(raws) is list and 0 < len(raws) <= limits.MAX_BATCH,
        "XFER carries no messages, or too many",
    )
    bodies = split_bodies(f[4], body, len(raws))
    moves = unfold(raws, Move, read_move)
    ids = [move.id for move in moves]
    need(are_ids(ids) or all(map(is_ref, ids)), "a move has a wrong id")
    return Xfer(f[1], f[2], moves, bodies)


def _return(f: list[Any], body: bytes) -> Return:
    shape(f, body, 3)
    need(uint(f[1]), "RETURN has a wrong field")
    return Return(f[1], read_groups(f[2]))


def _welcome(f: list[Any], body: bytes) -> Welcome:
    shape(f, body, 9, extra=True)
    need(
        all(uint(f[at]) for at in (1, 2, 4, 5, 8))
        and text(f[3], limits.MAX_NAME)
        and opt_text(f[6], limits.MAX_NAME + 1)
        and text(f[7], limits.MAX_NAME)
        and all(text(id_, limits.MAX_NAME) for id_ in f[9:10]),
        "WELCOME has a wrong field",
    )
    return Welcome(*f[1:10])


def _closed(f: list[Any], body: bytes) -> Closed:
    shape(f, body, 3, extra=True)
    need(type(f[1]) is str and is_facts(f[2]), "CLOSED has a wrong field")
    return Closed(f[1], f[2])


def _pong(f: list[Any], body: bytes) -> Pong:
    shape(f, body, 3, extra=True)
    need(uint(f[1]) and uint(f[2]), "PONG has a wrong field")
    return Pong(f[1], f[2])


def _accepted(f: list[Any], body: bytes) -> Accepted:
    shape(f, body, 3, extra=True)
    need(
        uint(f[1])
        and is_rows(f[2], 3)
        and all(
            uint(index) and type(outcome) is str and is_facts(facts)
            for index, outcome, facts in f[2]
        ),
        "ACCEPTED has a wrong field",
    )
    return Accepted(f[1], f[2])


def _deliver(f: list[Any], body: bytes) -> Deliver:
    need(len(f) >= 5, "DELIVER has a wrong shape")
    seqs, attempts, sizes, headers = f[1:5]
    need(
        is_uints(seqs)
        and is_uints(attempts)
        and type(headers) is list
        and len(seqs) == len(attempts) == len(headers),
        "the columns of DELIVER differ in length",
    )
    bodies = split_bodies(sizes, body, len(seqs))
    said = unfold(headers, Header, read_header)
    return Deliver(seqs, attempts, said, bodies)


def _settled(f: list[Any], body: bytes) -> Settled:
    shape(f, body, 3, extra=True)
    need(uint(f[1]) and is_uints(f[2]), "SETTLED has a wrong field")
    return Settled(f[1], f[2])


def _answer(f: list[Any], body: bytes) -> Answer:
    need(len(f) >= 3 and uint(f[1]), "ANSWER has a wrong shape")
    return Answer(f[1], f[2], body)


def _refused(f: list[Any], body: bytes) -> RefusedCall:
    shape(f, body, 4, extra=True)
    need(
        uint(f[1]) and type(f[2]) is str and is_facts(f[3]),
        "REFUSED has a wrong field",
    )
    return RefusedCall(*f[1:4])


_CLIENT: dict[int, _Decoder[ClientMessage]] = {
    Verb.HELLO: _hello,
    Verb.BYE: _bye,
    Verb.PING: _ping,
    Verb.SEND: _send,
    Verb.CREDIT: _credit,
    Verb.SETTLE: _settle,
    Verb.CALL: _call,
    Verb.XFER: _xfer,
    Verb.RETURN: _return,
}
_BROKER: dict[int, _Decoder[BrokerMessage]] = {
    Verb.WELCOME: _welcome,
    Verb.CLOSED: _closed,
    Verb.PONG: _pong,
    Verb.ACCEPTED: _accepted,
    Verb.DELIVER: _deliver,
    Verb.SETTLED: _settled,
    Verb.ANSWER: _answer,
    Verb.REFUSED: _refused,
}
