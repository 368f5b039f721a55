"""What an agent may spend, and what it has spent. Pure.

A model that answers costs money, and two that answer each other cost it without end.
Each bound that is reached stops the agent, with a reason and the time at which it goes
on by itself; a conversation that is too long goes on when a person says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from time import gmtime, strftime
from typing import Any, Final, NamedTuple

from ipcbus.adapters.base import Usage

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0

MOST_THREADS: Final = 1000
"""Conversations whose turns are known; of those that are idle longest none are."""


class Bounds(NamedTuple):
    """What one agent, or all of a network together, may do. 0 is no bound.

    Attributes:
        turns_per_thread: turns in one conversation, those without an answer as well.
        replies_per_hour: answers to one other agent, whatever the conversation.
        tokens_per_day: of all turns of a day (UTC), in and out.
        money_per_day: in the currency of the price list.
        turn_s: seconds that one turn may take, tools included.
        tool_calls: tools that may be called in one turn.
    """

    turns_per_thread: int = 40
    replies_per_hour: int = 60
    tokens_per_day: int = 2_000_000
    money_per_day: float = 0.0
    turn_s: float = 600.0
    tool_calls: int = 20


UNBOUNDED: Final = Bounds(0, 0, 0, 0.0, 0.0, 0)


class Stopped(NamedTuple):
    """A bound that was reached. `until` is in UTC seconds; 0: until a person says."""

    bound: str
    reason: str
    until: float


class Price(NamedTuple):
    """Of a million tokens."""

    input: float
    output: float


@dataclass
class Account:
    """What one agent has spent.

    Attributes:
        day: the UTC day that `tokens`, `money` and `unpriced` are of.
        unpriced: turns of that day whose price nobody knows.
        threads: turns by conversation; the one that spoke last is the last.
        replies: when each other agent was answered, UTC seconds, within the hour.
        stopped: why it answers nobody now.
    """

    day: str = ""
    tokens: int = 0
    money: float = 0.0
    unpriced: int = 0
    threads: dict[str, int] = field(default_factory=dict)
    replies: dict[str, list[float]] = field(default_factory=dict)
    stopped: Stopped | None = None

    def spend(self, usage: Usage | None, price: Price | None, now: float) -> None:
        """Book one request to the model."""
        self.turn_page(now)
        if usage is not None:
            self.tokens += usage.input + usage.output
        if usage is None or price is None:
            self.unpriced += 1
        else:
            self.money += (
                usage.input * price.input + usage.output * price.output
            ) / 1e6

    def took_turn(self, thread: str, answered: str | None, now: float) -> None:
        """Book one turn, and who was `answered` by it, if it was anybody."""
        self.threads[thread] = self.threads.pop(thread, 0) + 1
        while len(self.threads) > MOST_THREADS:
            del self.threads[next(iter(self.threads))]
        if answered is not None:
            self.replies.setdefault(answered, []).append(now)

    def turn_page(self, now: float) -> None:
        """A new day begins with nothing spent; an hour forgets its answers."""
        today = day_of(now)
        if today != self.day:
            self.day, self.tokens, self.money, self.unpriced = today, 0, 0.0, 0
        recent = {
            peer: [at for at in times if at > now - HOUR_S]
            for peer, times in self.replies.items()
        }
        self.replies = {peer: times for peer, times in recent.items() if times}

    def resume(self) -> None:
        """It may go on, and what stopped it is counted anew."""
        match self.stopped and self.stopped.bound:
            case "turns_per_thread":
                self.threads.clear()
            case "replies_per_hour":
                self.replies.clear()
            case "tokens_per_day" | "money_per_day":
                self.tokens, self.money = 0, 0.0
        self.stopped = None

    def check_invariants(self) -> None:
        assert len(self.threads) <= MOST_THREADS
        assert all(turns > 0 for turns in self.threads.values())
        assert all(times and times == sorted(times) for times in self.replies.values())
        assert self.tokens >= 0
        assert self.money >= 0


def day_of(now: float) -> str:
    return strftime("%Y-%m-%d", gmtime(now))


def over(
    account: Account, bounds: Bounds, thread: str, peer: str, now: float
) -> Stopped | None:
    """Which bound another answer in `thread` to `peer` would break."""
    account.turn_page(now)
    turns = account.threads.get(thread, 0)
    if 0 < bounds.turns_per_thread <= turns:
        reason = f"{turns} turns in conversation {thread}"
        return Stopped("turns_per_thread", reason, 0)
    replies = account.replies.get(peer, [])
    if 0 < bounds.replies_per_hour <= len(replies):
        reason = f"{len(replies)} answers to {peer} within an hour"
        return Stopped("replies_per_hour", reason, replies[0] + HOUR_S)
    return over_day([account], bounds, now)


def over_day(accounts: Iterable[Account], bounds: Bounds, now: float) -> Stopped | None:
    """Which bound of a day these have reached together."""
    today = [account for account in accounts if account.day == day_of(now)]
    midnight = (now // DAY_S + 1) * DAY_S
    tokens = sum(account.tokens for account in today)
    if 0 < bounds.tokens_per_day <= tokens:
        return Stopped("tokens_per_day", f"{tokens} tokens today", midnight)
    money = sum(account.money for account in today)
    if 0 < bounds.money_per_day <= money:
        return Stopped("money_per_day", f"{money:.2f} spent today", midnight)
    return None


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """By the first pattern that the model's name matches; None: nobody knows."""
    for pattern, price in prices.items():
        if fnmatchcase(model, pattern):
            return price
    return None


def to_object(account: Account) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(account) | {
        "stopped": account.stopped and account.stopped._asdict(),
    }


def from_object(value: Mapping[str, Any]) -> Account:
    """The account that `to_object` made it of. What is not there is new."""
    known = {name: value[name] for name in Account().__dict__ if name in value}
    stopped = known.get("stopped")
    return Account(**{**known, "stopped": Stopped(**stopped) if stopped else None})
