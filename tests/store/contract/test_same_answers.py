"""Both stores, driven by the same random operations, give the same answers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ipcbus.store.base import ID_MS, Store
from ipcbus.store.memory import MemoryStore
from ipcbus.store.records import Entry, Key, Mailbox, Place, Row, Run, Snapshot
from ipcbus.store.sqlite import SqliteStore

AGENTS = st.integers(1, 3)
SEQS = st.integers(1, 40)
KEYS = st.builds(Key, AGENTS, st.integers(4, 5), SEQS)
TIMES = st.integers(0, 5)
WORDS = st.sampled_from(["red", "green", "greenish", "blue"])
SHAS = st.sampled_from(["aa", "bb"])
IDS = st.integers(1, 30).map(str)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Row, list[Entry]]:
    mailboxes = draw(st.lists(AGENTS, unique=True, max_size=3))
    message = Row(
        0,
        draw(IDS),
        draw(AGENTS),
        mailboxes[0] if len(mailboxes) == 1 else 0,
        0,
        draw(st.sampled_from([None, "t"])),
        draw(st.sampled_from([None, "1", "2"])),
        b"h",
        " ".join(draw(st.lists(WORDS, max_size=3))).encode(),
    )
    rank = draw(st.integers(4, 5))
    shared = int(len(mailboxes) > 1)
    due, expires = draw(TIMES), draw(TIMES)
    return message, [Entry(m, rank, 0, 0, due, expires, shared, 9) for m in mailboxes]


class SameAnswers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.memory = MemoryStore()
        self.sqlite = self._sqlite()
        self.seq = 0
        self.in_turn = False
        assert self._opened(self.memory) == self._opened(self.sqlite)

    def _opened(self, store: Store) -> Snapshot:
        """Without the network's id, which each store makes by itself."""
        return store.open()._replace(network_id="")

    def _sqlite(self) -> SqliteStore:
        return SqliteStore(self.folder / "bus.db", network="test", ballast=None)

    def both(self, call: Callable[[Store], Any]) -> Any:
        mine, theirs = call(self.memory), call(self.sqlite)
        assert mine == theirs
        return mine

    @invariant()
    def a_turn_is_open(self) -> None:
        if not self.in_turn:
            self.both(lambda s: s.begin())
            self.in_turn = True

    # --- turns ---------------------------------------------------------------

    @rule()
    def commit(self) -> None:
        self.both(lambda s: s.commit())
        self.in_turn = False

    @rule()
    def roll_back(self) -> None:
        self.both(lambda s: s.rollback())
        self.in_turn = False

    @rule()
    def restart(self) -> None:
        self.both(lambda s: s.close())
        self.sqlite = self._sqlite()
        self.both(self._opened)
        self.in_turn = False

    # --- changes -------------------------------------------------------------

    @precondition(lambda self: self.in_turn)
    @rule(new=st.lists(messages(), min_size=1, max_size=4))
    def add(self, new: list[tuple[Row, list[Entry]]]) -> None:
        rows, entries = [], []
        for message, places in new:
            self.seq += 1
            rows.append(message._replace(seq=self.seq, accepted_at=self.seq))
            entries += [place._replace(seq=self.seq) for place in places]
        self.both(lambda s: s.mail.add(rows, entries))

    @precondition(lambda self: self.in_turn)
    @rule(
        ids=st.lists(IDS, min_size=1, max_size=12),
        mailbox=AGENTS,
        rank=st.integers(4, 5),
        first=st.integers(0, 3),
        expires=TIMES,
    )
    def add_a_place(
        self, ids: list[str], mailbox: int, rank: int, first: int, expires: int
    ) -> None:
        """To one mailbox; the first few are leased already."""
        rows = []
        for id_ in ids:
            self.seq += 1
            same = (1, mailbox, self.seq, None, None, b"h", id_.encode())
            rows.append(Row(self.seq, id_, *same))
        start, end = rows[0].seq, rows[-1].seq
        middle = min(start + first, end)
        places = [Place(mailbox, rank, middle, end, 0, expires)]
        if start < middle:
            places.insert(0, Place(mailbox, rank, start, middle - 1, 1, expires))
        self.both(lambda s: s.mail.add(rows, [], places))

    @precondition(lambda self: self.in_turn)
    @rule(
        keys=st.lists(KEYS, max_size=3),
        lengths=st.lists(st.integers(0, 15), min_size=3, max_size=3),
        keep=st.booleans(),
    )
    def remove_runs(self, keys: list[Key], lengths: list[int], keep: bool) -> None:
        runs = [
            Run(*key, key.seq + length)
            for key, length in zip(keys, lengths, strict=False)
        ]
        self.both(lambda s: s.mail.remove_runs(runs, keep=keep))

    @precondition(lambda self: self.in_turn)
    @rule(keys=st.lists(KEYS, max_size=8), keep=st.booleans())
    def remove(self, keys: list[Key], keep: bool) -> None:
        self.both(lambda s: s.mail.remove(keys, keep=keep))

    @precondition(lambda self: self.in_turn)
    @rule(first=KEYS, count=st.integers(1, 9), value=TIMES, what=st.integers(0, 3))
    def change_a_run(self, first: Key, count: int, value: int, what: int) -> None:
        keys = [first._replace(seq=first.seq + more) for more in range(count)]
        changes = [(value, *key) for key in keys]
        if what == 0:
            self.both(lambda s: s.mail.set_attempts(changes))
        elif what == 1:
            self.both(lambda s: s.mail.set_due(changes))
        elif what == 2:
            self.both(lambda s: s.mail.set_expires(changes))
        else:
            self.both(lambda s: s.mail.remove(keys, keep=bool(value)))

    @precondition(lambda self: self.in_turn)
    @rule(key=KEYS, what=st.integers(0, 3))
    def bury_or_exhume(self, key: Key, what: int) -> None:
        if what <= 1:
            self.both(lambda s: s.mail.bury(key, "code", "reason", 7))
        elif what == 2:
            self.both(lambda s: s.mail.exhume(key))
        else:
            self.both(lambda s: s.mail.drop_dead(key, keep=False))

    @precondition(lambda self: self.in_turn)
    @rule(mailbox=AGENTS)
    def wake(self, mailbox: int) -> None:
        self.both(lambda s: s.crossings.wake(mailbox))

    @precondition(lambda self: self.in_turn)
    @rule(mailbox=AGENTS, messages=TIMES)
    def put_totals(self, mailbox: int, messages: int) -> None:
        self.both(lambda s: s.mail.put_totals([Mailbox(mailbox, messages, messages)]))

    @precondition(lambda self: self.in_turn)
    @rule(sha=SHAS, owner=AGENTS, data=st.binary(max_size=5), seq=SEQS)
    def upload(self, sha: str, owner: int, data: bytes, seq: int) -> None:
        self.both(lambda s: s.blobs.begin(sha, 9, owner, self.seq))
        self.both(lambda s: s.blobs.append(sha, data))
        if seq <= self.seq:
            there = any(f.seq == seq for f in self._history(None, None))
            self.both(lambda s: s.blobs.link(seq, sha) if there else None)

    @precondition(lambda self: self.in_turn)
    @rule(sha=SHAS, other=SHAS, agent=AGENTS, what=st.integers(0, 3))
    def end_an_upload(self, sha: str, other: str, agent: int, what: int) -> None:
        there = self.both(lambda s: s.blobs.get(sha))
        if what == 0:
            self.both(lambda s: s.blobs.begin(f"{sha}/1", 9, agent, self.seq))
            self.both(lambda s: s.blobs.append(f"{sha}/1", b"abc"))
            self.both(lambda s: s.blobs.seal(f"{sha}/1"))
            self.both(lambda s: s.blobs.rename(f"{sha}/1", other))
        elif what == 1:
            self.both(lambda s: s.blobs.own(sha, agent) if there else None)
        elif what == 2 and there and not there.sealed:
            self.both(lambda s: s.blobs.restart(sha))
        elif what == 3:
            self.both(lambda s: s.blobs.drop(sha))

    @precondition(lambda self: self.in_turn)
    @rule(now=st.integers(0, 50), history=st.sampled_from([0, 10, ID_MS]))
    def keep_house(self, now: int, history: int) -> None:
        for at in (now, now + ID_MS, now + 2 * ID_MS)[: 1 + now % 3]:
            for store in (self.memory, self.sqlite):
                while store.archive.maintain(at, history, 7):
                    pass

    # --- questions -----------------------------------------------------------

    @rule(mailbox=AGENTS, after=st.tuples(st.integers(0, 5), SEQS), most=SEQS)
    def ask_for_pages(self, mailbox: int, after: tuple[int, int], most: int) -> None:
        self.both(lambda s: s.mail.page(mailbox, after, 5, most))
        self.both(lambda s: s.mail.page(mailbox, (0, 0), 100, 1 << 30))
        self.both(lambda s: s.mail.find_reply(mailbox, "1", lambda seq: seq != most))
        self.both(lambda s: s.crossings.late(mailbox, 30, most, 5))
        self.both(lambda s: s.crossings.delayed(mailbox))

    @rule(seq=SEQS, id_=IDS, agent=AGENTS)
    def ask_for_a_message(self, seq: int, id_: str, agent: int) -> None:
        self.both(lambda s: s.mail.find(id_))
        self.both(lambda s: s.mail.entries_of(seq))
        self.both(lambda s: s.archive.was_sent(seq, agent))
        self.both(lambda s: s.archive.state(seq, agent))
        self.both(lambda s: s.archive.state(seq, None))

    @rule(now=TIMES, limit=st.integers(1, 5))
    def ask_for_deadlines(self, now: int, limit: int) -> None:
        self.both(lambda s: s.mail.due(now, limit))
        self.both(lambda s: s.mail.expired(now, limit))
        self.both(lambda s: s.mail.next_deadline())

    @rule(mailbox=AGENTS, id_=IDS, after=SEQS, limit=st.integers(1, 4))
    def ask_for_the_dead(self, mailbox: int, id_: str, after: int, limit: int) -> None:
        for whose in (None, mailbox):
            self.both(lambda s, w=whose: s.mail.dead(w, after, limit))  # type: ignore[misc]
            self.both(lambda s, w=whose: s.mail.find_dead(w, id_))  # type: ignore[misc]

    @rule(sha=SHAS, agent=AGENTS, at=TIMES)
    def ask_for_attachments(self, sha: str, agent: int, at: int) -> None:
        if self.both(lambda s: s.blobs.get(sha)):
            self.both(lambda s: s.blobs.read(sha, at, 3))
        self.both(lambda s: s.blobs.readable(sha, agent))

    def _history(self, agent: int | None, other: int | None) -> Any:
        return self.both(
            lambda s: s.archive.history(
                agent, limit=100, before=None, other=other, thread=None
            )
        )

    @rule(agent=AGENTS, other=AGENTS, before=SEQS, limit=st.integers(1, 5))
    def ask_for_history(self, agent: int, other: int, before: int, limit: int) -> None:
        self._history(None, None)
        self._history(agent, other)
        self.both(
            lambda s: s.archive.history(
                agent, limit=limit, before=before, other=None, thread="t"
            )
        )

    @precondition(lambda self: self.in_turn)
    @rule(
        word=WORDS, agent=st.one_of(st.none(), AGENTS), star=st.sampled_from(["", "*"])
    )
    def search(self, word: str, agent: int | None, star: str) -> None:
        self.both(lambda s: s.archive.search(agent, word + star, limit=50, before=None))

    def teardown(self) -> None:
        self.memory.close()
        self.sqlite.close()
        shutil.rmtree(self.folder)


TestSameAnswers = SameAnswers.TestCase
TestSameAnswers.settings = settings(
    max_examples=settings().max_examples // 2,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
