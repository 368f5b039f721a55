"""What an operator may choose for a network. Times in milliseconds.

The defaults are for a handful of agents on one machine; each says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ipcbus.protocol.limits import MAX_BODY, MIB

HOUR: Final = 3600 * 1000
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds and times of one network.

    Attributes:
        max_attempts: leases after which a message becomes a dead letter. SQS users
            settle on 3 to 5.
        mailbox_messages: entries one mailbox may hold before senders are refused.
        mailbox_bytes: the same in bytes.
        max_body: bytes of one inline body; at most the protocol's.
        rate: messages a second one agent may send (burst: ten times that); 0 for
            as many as it can.
        max_agents: names a network may hold, registered or waited for.
        max_topics: patterns one agent may join.
        history_ms: how long settled messages stay for search; 0 for not at all.
        future_ms: how long mail waits for a name that nobody has yet.
        future_messages: entries that may wait for one such name.
        rename_ms: the least time between two renames of an agent.
        forward_ms: how long the old name forwards after a rename.
        store_bytes: size the database may reach; 0 for what the disk has.
        guard_pair: turns a minute of agents that answer each other, before they are
            stopped; 0 for as many as they like. Two models that chat take 10.
        guard_thread: such turns in all the life of one thread; 0 for no bound.
        guard_repeats: which repetition of the same words among them is refused; 0 for
            none.
        guard_human: name of the agent that is told when agents were stopped.
    """

    max_attempts: int = 5
    mailbox_messages: int = 2_000_000
    mailbox_bytes: int = 2048 * MIB
    max_body: int = MAX_BODY
    rate: int = 0
    max_agents: int = 20_000
    max_topics: int = 100
    history_ms: int = 7 * DAY
    future_ms: int = 7 * DAY
    future_messages: int = 1_000
    rename_ms: int = HOUR
    forward_ms: int = 2 * HOUR
    store_bytes: int = 0
    guard_pair: int = 20
    guard_thread: int = 60
    guard_repeats: int = 2
    guard_human: str = ""
