"""What the adapters for platforms have in common: options, key, errors and check.

An adapter turns a `Turn` into its platform's request and the platform's answer, whole
or in pieces, into an `Answer`. The SDKs are extras of ipcbus, which is why they are
imported when an adapter is made, and why their objects have no types here. Their own
retries are off: the runner repeats, since it knows how long the mail is leased.
"""

from __future__ import annotations

import asyncio
import json
import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final
from uuid import uuid4

from ipcbus.adapters.base import (
    REFUSED,
    TOOLS,
    USER,
    Answer,
    Finding,
    Limits,
    Options,
    Said,
    Stop,
    ToolCall,
    Turn,
)
from ipcbus.adapters.failures import Key, failure, told
from ipcbus.adapters.given import Read, number, only, variable, whole
from ipcbus.errors import (
    AdapterFailed,
    AdapterMissing,
    IpcbusError,
    KeyRefused,
    Overloaded,
    UsageError,
)

CHECK: Final = Turn(
    "You are being tested.",
    (Said(USER, "Say: ok"),),
    limits=Limits(max_tokens=64, timeout_s=60.0),
)
"""The smallest turn that shows that a model answers."""

NO_KEY: Final = "none"
"""For servers that want none; their SDKs do."""

MADE: Final = "made-"
"""How ids of calls begin that the platform gave none."""

KEPT: Final = 256

EXTRAS: Final[Mapping[str, Read]] = {
    "temperature": number(0, 2),
    "max_tokens": whole(1, 10_000_000),
    "key_variable": variable,
}
"""What each of them takes: how freely it speaks, the most tokens of an answer, and
where its key is if not in the usual variable."""


# --- conversations ----------------------------------------------------------


def parsed(text: str | None) -> Any:
    """The arguments of a call. What is no JSON stays the text that it is, so that the
    model can be told; nothing at all means none."""
    try:
        return json.loads(text) if text and text.strip() else {}
    except ValueError:
        return text


def as_object(arguments: Any) -> dict[str, Any]:
    """What a model gave as arguments, as an object: platforms refuse a conversation
    with anything else in it, although it was their model that said so."""
    return arguments if isinstance(arguments, dict) else {"malformed": arguments}


def made_id() -> str:
    return f"{MADE}{uuid4().hex}"


def text_of(one: Said) -> str:
    """Platforms refuse a text that is empty."""
    return one.text if one.text.strip() else "(nothing)"


class Kept:
    """Answers with calls, as the platform gave them, by the ids of their calls.

    Some hold more than text and calls: thoughts, signed or encrypted, which the
    platform wants back unchanged with what the tools answered. They are needed for
    one turn only, so that the oldest are let go.
    """

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._answers: OrderedDict[tuple[str, ...], Any] = OrderedDict()

    def put(self, calls: Sequence[ToolCall], content: Any) -> None:
        if calls:
            self._answers[_ids(calls)] = content
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)

    def get(self, calls: Sequence[ToolCall]) -> Any:
        return self._answers.get(_ids(calls))


def _ids(calls: Sequence[ToolCall]) -> tuple[str, ...]:
    return tuple(call.id for call in calls)


def stopped(stop: Stop | None, calls: Sequence[ToolCall]) -> Stop:
    """Servers that call it an ordinary end when their model calls tools are many."""
    if stop is None:
        return TOOLS if calls else "end"
    return stop


# --- the adapter ------------------------------------------------------------


class Vendor(ABC):
    """An adapter for a platform.

    Attributes:
        name: of the adapter.
        needs: the extra of ipcbus with its SDK.
        package: its SDK, as it is called where it is installed from.
        home: the platform's own address.
        addresses: variables with another one.
        keys: variables that may hold the key, the first that is set counts.
        extras: options that it takes.
    """

    name: ClassVar[str]
    needs: str
    package: ClassVar[str]
    home: ClassVar[str]
    addresses: ClassVar[tuple[str, ...]]
    keys: ClassVar[tuple[str, ...]]
    wants_key: ClassVar[bool] = True
    extras: ClassVar[Mapping[str, Read]] = EXTRAS

    def __init__(self, options: Options) -> None:
        """Raises `UsageError`, `KeyRefused` if there is no key, `AdapterMissing` if
        there is no SDK."""
        only(self.name, options, self.extras, uses=("model", "base_url"))
        if not options.model:
            raise UsageError(reason=f"{self.name}: which model? Say it with --model")
        self.model = options.model
        self.extra = self._read(options.extra)
        self.base_url = options.base_url or _first(self.addresses)[1]
        self.key = self._key()
        self.kept = Kept()
        try:
            self.client = self._connect()
        except ImportError as error:
            reason = f"its SDK is missing: pip install 'ipcbus[{self.needs}]'"
            raise AdapterMissing(adapter=self.name, reason=reason) from error
        except ValueError as error:
            raise UsageError(reason=f"{self.name}: {error}") from error

    def _read(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, value in extra.items():
            try:
                found[name] = self.extras[name](value)
            except ValueError as error:
                reason = f"{self.name}: {name} is {value!r}, but must be {error}"
                raise UsageError(reason=reason) from None
        return found

    def _key(self) -> Key:
        """A server of one's own may want none, unless one was named for it."""
        named = self.extra.get("key_variable")
        names = (named,) if named else self.keys
        key = Key(*_first(names))
        if not key.value and (named or (self.wants_key and self.is_home)):
            reason = f"there is no key: set {' or '.join(names)}"
            raise KeyRefused(adapter=self.name, reason=reason)
        return key

    @property
    def is_home(self) -> bool:
        """Whether it is the platform itself, not a server that speaks as it does."""
        return not self.base_url

    @property
    def address(self) -> str:
        return self.base_url or self.home

    def most_tokens(self, turn: Turn) -> int:
        most: int = self.extra.get("max_tokens", turn.limits.max_tokens)
        return min(most, turn.limits.max_tokens)

    def broken_off(self) -> AdapterFailed:
        """A part of an answer is none."""
        return AdapterFailed(adapter=self.name, reason="the answer broke off", status=0)

    # --- what differs ------------------------------------------------------

    @abstractmethod
    def _connect(self) -> Any:
        """The SDK's client. Raises `ImportError`, or `ValueError` for bad options."""

    @abstractmethod
    def _request(self, turn: Turn) -> dict[str, Any]:
        """The turn in the platform's words."""

    @abstractmethod
    async def _ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        """The answer; in pieces if somebody listens. May raise anything."""

    @abstractmethod
    async def close(self) -> None:
        """Let connections go."""

    # --- the contract ------------------------------------------------------

    async def turn(self, turn: Turn) -> Answer:
        request = self._request(turn)
        limit_s = turn.limits.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._ask(request, turn.on_text)
        except IpcbusError:
            raise
        except TimeoutError as error:
            reason = f"no answer within {limit_s:g} s"
            raise AdapterFailed(adapter=self.name, reason=reason, status=0) from error
        except Exception as error:
            # The border: SDKs let through what their parsers and HTTP libraries raise.
            raise failure(self.name, told(error), self.key) from error

    async def check(self) -> list[Finding]:
        from importlib.metadata import version

        found = [
            Finding("ok", f"{self.package} {version(self.package)}"),
            self._keyed(),
        ]
        try:
            answer = await self.turn(CHECK)
        except AdapterFailed as error:
            return [*found, *self._failed(error)]
        said = "refuses to answer" if answer.stop == REFUSED else "answers"
        return [*found, self._reached(), Finding("ok", f"{self.model} {said}")]

    def _keyed(self) -> Finding:
        if self.key.value:
            return Finding("ok", f"the key is in {self.key.variable}")
        return Finding(
            "ok", f"no key in {self.key.variable}; this server may need none"
        )

    def _reached(self) -> Finding:
        return Finding("ok", f"{self.address} can be reached")

    def _failed(self, error: AdapterFailed) -> list[Finding]:
        if not error.facts.get("status"):
            return [Finding("failed", f"{self.address}: {error}")]
        if isinstance(error, Overloaded):
            return [self._reached(), Finding("warning", str(error))]
        return [self._reached(), Finding("failed", f"{self.model}: {error}")]


def _first(names: Sequence[str]) -> tuple[str, str]:
    """The first of these variables that is set, and what is in it."""
    for name in names:
        if value := os.environ.get(name, "").strip():
            return name, value
    return (names[0] if names else "", "")
