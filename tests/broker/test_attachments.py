"""Attachments: who may refer to them and read them, and what becomes of uploads.

Over both stores: what is promised here is kept by both together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from ipcbus.broker.blobs import MOST_UPLOADS, UPLOAD_IDLE_MS
from ipcbus.broker.events import Say
from ipcbus.protocol.limits import CHUNK, MIB
from ipcbus.protocol.messages import Answer, Call, RefusedCall
from ipcbus.store.base import ID_MS, UNUSED_BLOB_MS, Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.sqlite import SqliteStore
from tests.broker.harness import Harness, draft, only

ALICE, BOB, EVE = b"alice", b"bob", b"eve"
DATA = b"the secret of alice"
NAME = sha256(DATA).hexdigest()


def _maker(kind: str, folder: Path) -> Callable[[], Store]:
    if kind == "memory":
        return MemoryStore
    return lambda: SqliteStore(folder / "bus.db", network="test", ballast=None)


@pytest.fixture(params=["memory", "sqlite"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    make = _maker(request.param, tmp_path)

    def reopen(store: Store) -> Store:
        store.close()
        return store if request.param == "memory" else make()

    harness = Harness(make=make, reopen=reopen)
    harness.join_up("alice", "bob", "eve")
    yield harness
    harness.broker.check_invariants()
    harness.close()


def name_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def begin(bus: Harness, peer: bytes, data: bytes = DATA) -> int:
    [there] = bus.call(peer, "blob_begin", name_of(data), len(data))
    assert isinstance(there, int)
    return there


def write(bus: Harness, peer: bytes, at: int, data: bytes, name: str = NAME) -> int:
    [there] = bus.call(peer, "blob_write", name, at, body=data)
    assert isinstance(there, int)
    return there


def upload(bus: Harness, peer: bytes, data: bytes = DATA) -> None:
    there = begin(bus, peer, data)
    while there < len(data):
        there = write(bus, peer, there, data[there : there + CHUNK], name_of(data))
    bus.call(peer, "blob_seal", name_of(data))


def link(
    bus: Harness,
    peer: bytes,
    id_: str,
    to: str,
    data: bytes = DATA,
    size: int | None = None,
) -> str:
    """Send it along; "" or why not."""
    size = len(data) if size is None else size
    refs = [[name_of(data), size, "a", None]]
    refused = bus.send(peer, draft(id_, to, attachments=refs))
    return f"{refused[0][1]}: {refused[0][2].get('reason')}" if refused else ""


def read(bus: Harness, peer: bytes, data: bytes = DATA) -> bytes:
    actions = bus.say(peer, Call(1, "blob_read", [name_of(data), 0], b""))
    answer = only(actions, Answer)
    assert answer.value == [len(data)]
    return answer.body


def keep_house(bus: Harness, after_ms: int, steps: int = 1000, limit: int = 64) -> None:
    for _ in range(steps):
        bus.store.begin()
        more = bus.store.archive.maintain(bus.wall + after_ms, ID_MS, limit)
        bus.store.commit()
        if not more:
            return


def chunks_of(bus: Harness) -> int:
    """Bytes of attachments that the store has, whole or not."""
    if isinstance(bus.store, SqliteStore):
        rows = bus.store._db.read("SELECT length(data) FROM blob_chunks")
        return sum(size for (size,) in rows)
    assert isinstance(bus.store, MemoryStore)
    return sum(upload.stored for upload in bus.store._state.blobs.values())


def test_of_uploads_that_fit_alone_the_last_is_refused_and_voids_no_turn(
    tmp_path: Path,
) -> None:
    def make() -> Store:
        path, ballast = tmp_path / "bus.db", tmp_path / "ballast"
        return SqliteStore(path, network="test", ballast=ballast, store_bytes=8 * MIB)

    def reopen(store: Store) -> Store:
        store.close()
        return make()

    bus = Harness(make=make, reopen=reopen)
    bus.join_up("alice", "bob")
    many = [bytes([n]) * (2 * MIB) for n in range(4)]
    for data in many:
        begin(bus, ALICE, data)
    refused = _pour(bus, many)
    assert (refused.code, refused.facts["bound"]) == ("bound_exceeded", "store")
    assert bus.call(BOB, "agents", 0), "the broker goes on"
    bus.broker.check_invariants()
    bus.close()


def _pour(bus: Harness, many: list[bytes]) -> RefusedCall:
    """Write pieces of each in turn until one is refused."""
    for at in range(0, len(many[0]), CHUNK):
        for data in many:
            piece = data[at : at + CHUNK]
            call = Call(1, "blob_write", [name_of(data), at], piece)
            for said in bus.say(ALICE, call):
                if isinstance(said, Say) and isinstance(said.message, RefusedCall):
                    return said.message
    raise AssertionError("all of it found room")


# --- who may read ----------------------------------------------------------------


def refuses_eve(bus: Harness) -> None:
    assert link(bus, EVE, "e1", "eve").startswith("invalid_message")
    assert bus.refused(EVE, "blob_read", NAME, 0).code == "not_permitted"


@pytest.mark.security
def test_who_announces_a_hash_before_its_owner_does_not_get_the_bytes(
    bus: Harness,
) -> None:
    begin(bus, EVE)
    bus.lose(EVE)
    upload(bus, ALICE)
    bus.hello(EVE)
    refuses_eve(bus)
    assert read(bus, ALICE) == DATA


@pytest.mark.security
def test_who_announces_a_hash_meanwhile_does_not_get_the_bytes(bus: Harness) -> None:
    begin(bus, EVE)
    upload(bus, ALICE)
    assert bus.refused(EVE, "blob_seal", NAME).code == "invalid_message"
    refuses_eve(bus)
    assert begin(bus, EVE) == 0
    refuses_eve(bus)
    assert bus.refused(EVE, "blob_seal", NAME).code == "invalid_message"
    refuses_eve(bus)


@pytest.mark.security
def test_to_write_to_an_upload_of_another_is_not_to_have_its_bytes(
    bus: Harness,
) -> None:
    begin(bus, ALICE)
    assert bus.refused(EVE, "blob_seal", NAME).code == "invalid_message"
    begin(bus, EVE)
    write(bus, EVE, 0, b"x")
    assert write(bus, ALICE, 0, DATA) == len(DATA)
    bus.call(ALICE, "blob_seal", NAME)
    refuses_eve(bus)
    assert link(bus, ALICE, "m1", "bob") == ""
    assert read(bus, BOB) == DATA


def test_what_was_received_can_be_forwarded(bus: Harness) -> None:
    upload(bus, ALICE)
    assert link(bus, ALICE, "m1", "bob") == ""
    assert link(bus, BOB, "m2", "eve") == ""
    assert link(bus, EVE, "m3", "eve") == ""
    assert read(bus, EVE) == DATA


def test_who_uploads_what_is_stored_already_may_send_it_also_after_a_takeover(
    bus: Harness,
) -> None:
    upload(bus, ALICE)
    upload(bus, EVE)
    assert chunks_of(bus) == len(DATA)
    bus.restart()
    bus.hello(EVE)
    assert begin(bus, EVE) == len(DATA)
    assert link(bus, EVE, "m1", "eve") == ""


# --- sizes -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, len(DATA) + 1])
def test_a_message_that_names_another_size_is_told_so(bus: Harness, size: int) -> None:
    upload(bus, ALICE)
    told = link(bus, ALICE, "m1", "bob", size=size)
    assert told == f"invalid_message: 'a' has {len(DATA)} bytes, not {size}"
    assert link(bus, ALICE, "m2", "bob") == ""


def test_a_size_that_was_announced_and_never_came_is_forgotten(bus: Harness) -> None:
    for peer in (EVE, ALICE):
        bus.call(peer, "blob_begin", NAME, len(DATA) + 5)
        write(bus, peer, 0, DATA[:4])
    upload(bus, ALICE)
    assert "has" in link(bus, ALICE, "m1", "bob", size=len(DATA) + 5)
    assert link(bus, ALICE, "m2", "bob") == ""


def test_the_size_of_what_is_there_is_no_other(bus: Harness) -> None:
    upload(bus, ALICE)
    refusal = bus.refused(ALICE, "blob_begin", NAME, len(DATA) + 1)
    assert (refusal.code, refusal.facts["field"]) == ("invalid_message", "size")


# --- several at once -------------------------------------------------------------


@pytest.mark.parametrize("first", [ALICE, BOB])
def test_of_two_agents_with_one_file_both_may_send_it(
    bus: Harness, first: bytes
) -> None:
    """Whoever began, and whoever is done first."""
    begin(bus, ALICE)
    begin(bus, BOB)
    write(bus, ALICE, 0, DATA[:5])
    write(bus, BOB, 0, DATA[:5])
    for peer in (first, BOB if first == ALICE else ALICE):
        assert write(bus, peer, 5, DATA[5:]) == len(DATA)
        bus.call(peer, "blob_seal", NAME)
        assert link(bus, peer, f"m-{peer.decode()}", "eve") == ""
        assert read(bus, peer) == DATA
    keep_house(bus, 0)
    assert chunks_of(bus) == len(DATA)


def test_one_who_sends_other_bytes_spoils_no_upload_but_his_own(bus: Harness) -> None:
    begin(bus, EVE)
    begin(bus, ALICE)
    write(bus, EVE, 0, bytes(len(DATA)))
    write(bus, ALICE, 0, DATA)
    assert bus.refused(EVE, "blob_seal", NAME).facts["field"] == "attachment"
    bus.call(ALICE, "blob_seal", NAME)
    assert link(bus, ALICE, "m1", "bob") == ""
    refuses_eve(bus)


def test_two_sessions_of_an_agent_do_not_hinder_each_other(bus: Harness) -> None:
    other = b"alice/2"
    bus.hello(other)
    assert begin(bus, ALICE) == 0
    write(bus, ALICE, 0, DATA[:5])
    assert begin(bus, other) == 5
    assert write(bus, other, 5, DATA[5:10]) == 10
    assert write(bus, ALICE, 5, DATA[5:8]) == 10
    assert write(bus, ALICE, 8, DATA[8:12]) == 12
    assert write(bus, other, 10, DATA[10:]) == len(DATA)
    bus.call(other, "blob_seal", NAME)
    assert write(bus, ALICE, 12, DATA[12:]) == len(DATA)
    bus.call(ALICE, "blob_seal", NAME)
    assert link(bus, ALICE, "m1", "bob") == ""
    assert read(bus, BOB) == DATA


def test_a_piece_may_not_leave_a_gap(bus: Harness) -> None:
    begin(bus, ALICE)
    refusal = bus.say(ALICE, Call(1, "blob_write", [NAME, 3], DATA[3:]))
    assert "must be 0" in str(refusal)


# --- purging ---------------------------------------------------------------------


def test_one_that_is_being_purged_is_not_there_and_can_be_uploaded_again(
    bus: Harness,
) -> None:
    data = bytes(range(256)) * (4 * CHUNK // 256)
    upload(bus, ALICE, data)
    keep_house(bus, UNUSED_BLOB_MS, steps=2)
    assert link(bus, ALICE, "m1", "bob", data).startswith("invalid_message")
    upload(bus, ALICE, data)
    assert link(bus, ALICE, "m2", "bob", data) == ""
    keep_house(bus, UNUSED_BLOB_MS)
    found = [
        only(bus.say(BOB, Call(1, "blob_read", [name_of(data), at], b"")), Answer).body
        for at in range(0, len(data), CHUNK)
    ]
    assert b"".join(found) == data
    assert chunks_of(bus) == len(data)


def test_what_is_announced_again_is_there_for_another_hour(bus: Harness) -> None:
    upload(bus, ALICE)
    bus.advance(UNUSED_BLOB_MS // 1000 - 1)
    bus.hello(ALICE)
    assert begin(bus, ALICE) == len(DATA)
    keep_house(bus, 2000)
    assert link(bus, ALICE, "m1", "bob") == ""


# --- nothing in it ---------------------------------------------------------------


def test_an_empty_one_goes_the_whole_way_as_often_as_one_likes(bus: Harness) -> None:
    for number, peer in enumerate((ALICE, ALICE, EVE, EVE)):
        upload(bus, peer, b"")
        assert link(bus, peer, f"m{number}", "bob", b"") == ""
    assert read(bus, BOB, b"") == b""


# --- uploads that nobody ends ----------------------------------------------------


def test_what_a_lost_session_has_left_is_gone_with_the_next_keeping_of_house(
    bus: Harness,
) -> None:
    begin(bus, ALICE)
    write(bus, ALICE, 0, DATA[:5])
    bus.lose(ALICE)
    keep_house(bus, 0)
    assert chunks_of(bus) == 0


def test_what_a_broker_has_left_is_gone_an_hour_later(bus: Harness) -> None:
    begin(bus, ALICE)
    write(bus, ALICE, 0, DATA[:5])
    bus.restart()
    keep_house(bus, UNUSED_BLOB_MS)
    assert chunks_of(bus) == 0


def test_uploads_that_stand_still_do_not_count_for_ever(bus: Harness) -> None:
    for number in range(MOST_UPLOADS):
        begin(bus, ALICE, DATA + bytes([number]))
        write(bus, ALICE, 0, DATA, name_of(DATA + bytes([number])))
    assert bus.refused(ALICE, "blob_begin", NAME, 5).facts["bound"] == "uploads"
    bus.wall += UPLOAD_IDLE_MS
    upload(bus, ALICE)
    keep_house(bus, 0)
    assert chunks_of(bus) == len(DATA)
    late = bus.say(ALICE, Call(1, "blob_write", [name_of(DATA + b"\0"), 19], b"\0"))
    assert "begin the upload first" in str(late)


def test_a_slow_upload_that_goes_on_is_not_purged(bus: Harness) -> None:
    begin(bus, ALICE)
    for at in range(len(DATA)):
        bus.wall += UPLOAD_IDLE_MS - 1
        assert write(bus, ALICE, at, DATA[at : at + 1]) == at + 1
        keep_house(bus, 0)
    bus.call(ALICE, "blob_seal", NAME)
    assert link(bus, ALICE, "m1", "bob") == ""
