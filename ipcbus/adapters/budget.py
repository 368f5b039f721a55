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

MOST_THREADS: Final = 300
MOST_PEERS: Final = 200
"""Conversations whose turns are known, and agents whose answers are; of those that are
idle longest none are. An account stays under the 64 KiB of a file (`networks.files`)
whatever their names: 97 letters and 65."""


class Bounds(NamedTuple):
    """What one agent, or all of a network together, may do. 0 is no bound.

    Attributes:
        turns_per_thread: turns in one conversation, those without an answer as well.
        replies_per_hour: answers to one other agent, whatever the conversation; an hour
            begins with the first.
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


class Answered(NamedTuple):
    """So many `times` in the hour that began at `since`, UTC seconds. To keep when each
    of them was would have no bound."""

    since: float
    times: int


@dataclass
class Account:
    """What one agent has spent.

    Attributes:
        day: the UTC day that `tokens`, `money` and `unpriced` are of.
        excused_tokens, excused_money: those of that day that a person has let pass.
        unpriced: turns of that day whose price nobody knows.
        threads: turns by conversation; the one that spoke last is the last.
        answered: how often each other agent was, within its hour; who was last is last.
        stopped: why it answers nobody now.
    """

    day: str = ""
    tokens: int = 0
    money: float = 0.0
    unpriced: int = 0
    threads: dict[str, int] = field(default_factory=dict)
    answered: dict[str, Answered] = field(default_factory=dict)
    stopped: Stopped | None = None
    excused_tokens: int = 0
    excused_money: float = 0.0

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
        _forget(self.threads, MOST_THREADS)
        if answered is not None:
            since, times = self.answered.pop(answered, Answered(now, 0))
            self.answered[answered] = Answered(since, times + 1)
            _forget(self.answered, MOST_PEERS)

    def turn_page(self, now: float) -> None:
        """A new day begins with nothing spent; an hour forgets its answers."""
        today = day_of(now)
        if today != self.day:
            self.day, self.tokens, self.money, self.unpriced = today, 0, 0.0, 0
            self.excused_tokens, self.excused_money = 0, 0.0
        self.answered = {
            peer: one
            for peer, one in self.answered.items()
            if 0 <= now - one.since < HOUR_S  # a clock may go back
        }

    def resume(self) -> None:
        """It may go on; what stopped it is counted anew, and what it spent stays so."""
        match self.stopped and self.stopped.bound:
            case "turns_per_thread":
                self.threads.clear()
            case "replies_per_hour":
                self.answered.clear()
            case "tokens_per_day" | "money_per_day":
                self.excused_tokens, self.excused_money = self.tokens, self.money
        self.stopped = None

    def check_invariants(self) -> None:
        assert len(self.threads) <= MOST_THREADS
        assert all(turns > 0 for turns in self.threads.values())
        assert len(self.answered) <= MOST_PEERS
        assert all(one.times > 0 for one in self.answered.values())
        assert 0 <= self.excused_tokens <= self.tokens
        assert 0 <= self.excused_money <= self.money


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
    since, times = account.answered.get(peer, Answered(now, 0))
    if 0 < bounds.replies_per_hour <= times:
        reason = f"{times} answers to {peer} within an hour"
        return Stopped("replies_per_hour", reason, since + HOUR_S)
    return over_day([account], bounds, now)


def over_day(accounts: Iterable[Account], bounds: Bounds, now: float) -> Stopped | None:
    """Which bound of a day these have reached together."""
    today = [account for account in accounts if account.day == day_of(now)]
    midnight = (now // DAY_S + 1) * DAY_S
    tokens = sum(account.tokens - account.excused_tokens for account in today)
    if 0 < bounds.tokens_per_day <= tokens:
        return Stopped("tokens_per_day", f"{tokens} tokens today", midnight)
    money = sum(account.money - account.excused_money for account in today)
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
    """The account that `to_object` made it of. What is not there is new, and what is
    not known is left out. Raises `ValueError` if it is none."""
    try:
        return Account(
            str(value.get("day", "")),
            int(value.get("tokens", 0)),
            float(value.get("money", 0)),
            int(value.get("unpriced", 0)),
            {name: int(turns) for name, turns in value.get("threads", {}).items()},
            {name: _answered(*row) for name, row in value.get("answered", {}).items()},
            _stopped(value.get("stopped")),
            int(value.get("excused_tokens", 0)),
            float(value.get("excused_money", 0)),
        )
    except (TypeError, AttributeError, KeyError, OverflowError) as error:
        raise ValueError(f"{error}") from error


def _answered(since: Any, times: Any) -> Answered:
    return Answered(float(since), int(times))


def _stopped(value: Mapping[str, Any] | None) -> Stopped | None:
    if value is None:
        return None
    return Stopped(str(value["bound"]), str(value["reason"]), float(value["until"]))


def _forget(known: dict[str, Any], most: int) -> None:
    while len(known) > most:
        del known[next(iter(known))]
