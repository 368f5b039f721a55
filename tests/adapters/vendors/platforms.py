"""The platforms that the contract is held against: five ways to ask, four adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from ipcbus.adapters.anthropic import Anthropic
from ipcbus.adapters.base import Answer, Limits, Options, Said, Turn
from ipcbus.adapters.gemini import Gemini
from ipcbus.adapters.ollama import Ollama
from ipcbus.adapters.openai import OpenAi
from ipcbus.adapters.vendor import Vendor
from ipcbus.doors.tools import TOOLS

T = TypeVar("T")

KEY: Final = "sk-secret-of-a-test"

LIMITS: Final = Limits(max_tokens=500, timeout_s=20.0)


class Platform(NamedTuple):
    """One way to ask.

    Attributes:
        path: of a compatible server, after its address.
        key: the variable with the key.
        address: the variable with the address of another server.
    """

    name: str
    made_by: type[Vendor]
    key: str
    address: str
    path: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def adapter(self, url: str, **extra: Any) -> Vendor:
        options = Options("a-model", url + self.path, extra=dict(self.extra) | extra)
        return self.made_by(options)


PLATFORMS: Final = (
    Platform("anthropic", Anthropic, "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    Platform("chat", OpenAi, "OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1"),
    Platform(
        "responses",
        OpenAi,
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "/v1",
        (("api", "responses"),),
    ),
    Platform("gemini", Gemini, "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    Platform("ollama", Ollama, "OLLAMA_API_KEY", "OLLAMA_HOST"),
)

BY_NAME: Final = {platform.name: platform for platform in PLATFORMS}

VARIABLES: Final = (
    *{platform.key for platform in PLATFORMS},
    *{platform.address for platform in PLATFORMS},
    *("ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY", "GOOGLE_GENAI_API_VERSION"),
)


def with_adapter(adapter: Vendor, use: Callable[[Vendor], Awaitable[T]]) -> T:
    """Use an adapter in a loop of its own, and let its connections go."""

    async def run() -> T:
        try:
            return await use(adapter)
        finally:
            await adapter.close()

    return asyncio.run(run())


def turn(*said: Said | str, pieces: list[str] | None = None, **given: Any) -> Turn:
    """A turn whose last word is a user's; it is streamed if `pieces` are wanted."""
    words = tuple(one if isinstance(one, Said) else Said("user", one) for one in said)
    heard = None if pieces is None else pieces.append
    return Turn(
        **{
            "system": "You are alice.",
            "said": words,
            "tools": TOOLS,
            "limits": LIMITS,
            "on_text": heard,
            **given,
        }
    )


def ask(
    platform: Platform, url: str, *said: Said | str, pieces: list[str] | None = None
) -> Answer:
    """One turn of a new adapter."""
    asked = turn(*said, pieces=pieces)
    return with_adapter(platform.adapter(url), lambda adapter: adapter.turn(asked))


def ask_in_turn(
    platform: Platform, url: str, turns: Sequence[Turn]
) -> list[Answer | BaseException]:
    """What the same adapter answers to each, or raises."""

    async def use(adapter: Vendor) -> list[Answer | BaseException]:
        found: list[Answer | BaseException] = []
        for one in turns:
            found += await asyncio.gather(adapter.turn(one), return_exceptions=True)
        return found

    return with_adapter(platform.adapter(url), use)
