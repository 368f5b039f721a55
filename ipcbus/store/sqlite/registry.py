"""Agents, keys, names, topics and counters: small tables, read once at the start."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ipcbus.store.records import (
    Agent,
    AgentKey,
    Alias,
    LinkRow,
    Mailbox,
    Snapshot,
    Subscription,
)
from ipcbus.store.sqlite.database import Database, translated

_pack = json.JSONEncoder(separators=(",", ":")).encode


class SqliteRegistry:
    """`base.Registry` on SQLite."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def snapshot(self) -> Snapshot:
        """All of it, and where the broker before this one stopped."""
        read = self._db.read
        epoch, last_seq, last_wall, network_id = self._db.one(
            "SELECT epoch, last_seq, last_wall, network_id FROM meta"
        ) or (0, 0, 0, "")
        newest = self._db.one(
            "SELECT seq, accepted_at FROM messages ORDER BY seq DESC LIMIT 1"
        ) or (0, 0)
        packed = self._db.one("SELECT counters FROM totals WHERE mailbox = 0")
        return Snapshot(
            epoch=epoch,
            last_seq=max(last_seq, newest[0]),
            last_wall=max(last_wall, newest[1]),
            counters=json.loads(packed[0]) if packed else {},
            agents=[Agent(*row) for row in read("SELECT * FROM agents ORDER BY 1")],
            keys=[AgentKey(*row) for row in read("SELECT * FROM keys ORDER BY 1")],
            aliases=[Alias(*row) for row in read("SELECT * FROM aliases ORDER BY 1")],
            subscriptions=[
                Subscription(*row)
                for row in read("SELECT * FROM subscriptions ORDER BY 1, 2")
            ],
            mailboxes=[
                Mailbox(*row)
                for row in read(
                    "SELECT mailbox, messages, bytes FROM totals"
                    " WHERE messages > 0 OR bytes > 0 ORDER BY 1"
                )
            ],
            network_id=network_id,
            links=[LinkRow(*row) for row in read("SELECT * FROM links ORDER BY 1")],
            pins=dict(read("SELECT * FROM pins")),
            pauses=[number for (number,) in read("SELECT * FROM pauses ORDER BY 1")],
        )

    @translated
    def put_agent(self, agent: Agent) -> None:
        self._db.write().execute(
            "INSERT OR REPLACE INTO agents VALUES(?, ?, ?, ?, ?, ?, ?)", agent
        )

    @translated
    def delete_agent(self, number: int) -> None:
        db = self._db.write()
        db.execute("DELETE FROM agents WHERE number = ?", (number,))
        db.execute("DELETE FROM totals WHERE mailbox = ?", (number,))

    @translated
    def put_key(self, key: AgentKey) -> None:
        self._db.write().execute(
            "INSERT OR REPLACE INTO keys VALUES(?, ?, ?, ?, ?, ?)", key
        )

    @translated
    def delete_key(self, key: str) -> None:
        self._db.write().execute("DELETE FROM keys WHERE key = ?", (key,))

    @translated
    def put_alias(self, alias: Alias) -> None:
        self._db.write().execute(
            "INSERT OR REPLACE INTO aliases VALUES(?, ?, ?)", alias
        )

    @translated
    def delete_alias(self, name: str) -> None:
        self._db.write().execute("DELETE FROM aliases WHERE name = ?", (name,))

    @translated
    def put_subscription(self, subscription: Subscription) -> None:
        self._db.write().execute(
            "INSERT OR REPLACE INTO subscriptions VALUES(?, ?)", subscription
        )

    @translated
    def delete_subscription(self, subscription: Subscription) -> None:
        self._db.write().execute(
            "DELETE FROM subscriptions WHERE agent = ? AND pattern = ?", subscription
        )

    @translated
    def put_pause(self, agent: int, paused: int) -> None:
        db = self._db.write()
        if paused:
            db.execute("INSERT OR REPLACE INTO pauses VALUES(?)", (agent,))
        else:
            db.execute("DELETE FROM pauses WHERE agent = ?", (agent,))

    @translated
    def put_counters(self, counters: Mapping[str, int]) -> None:
        # One row, on a page that the totals of the first mailboxes share: this is
        # written with nearly every turn.
        self._db.write().execute(
            "INSERT OR REPLACE INTO totals VALUES(0, 0, 0, ?)",
            (_pack(dict(counters)),),
        )
