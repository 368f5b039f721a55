"""OpenAI's models, by its own SDK, and every server that speaks as OpenAI does: vLLM,
llama.cpp, LM Studio, OpenRouter and many more.

Two ways to ask: `api=chat`, which all of them know, and `api=responses`, which keeps
what a model thought between its calls (`openai_responses`).

Sources: https://platform.openai.com/docs/api-reference/chat,
https://platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ipcbus.adapters import openai_chat, openai_responses
from ipcbus.adapters.base import Answer, Turn
from ipcbus.adapters.given import one_of
from ipcbus.adapters.vendor import EXTRAS, NO_KEY, Vendor


class Api(Protocol):
    """One way to ask."""

    def request(self, turn: Turn) -> dict[str, Any]:
        """The turn in its words."""

    async def ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        """The answer; in pieces if somebody listens."""


_APIS: Final[Mapping[str, Callable[[Vendor], Api]]] = {
    "chat": openai_chat.Chat,
    "responses": openai_responses.Responses,
}


class OpenAi(Vendor):
    """Chat completions or responses, as the option `api` says."""

    name = "openai"
    needs = "openai"
    package = "openai"
    home = "https://api.openai.com/v1"
    addresses = ("OPENAI_BASE_URL",)
    keys = ("OPENAI_API_KEY",)
    extras = {
        **EXTRAS,
        "api": one_of(*_APIS),
        "effort": one_of("none", "minimal", "low", "medium", "high", "xhigh"),
    }

    def _connect(self) -> Any:
        from openai import AsyncOpenAI

        self._api = _APIS[self.extra.get("api", "chat")](self)
        key = self.key.value or NO_KEY
        return AsyncOpenAI(api_key=key, base_url=self.address, max_retries=0)

    async def close(self) -> None:
        await self.client.close()

    def _request(self, turn: Turn) -> dict[str, Any]:
        request = self._api.request(turn)
        request |= {"model": self.model, "timeout": turn.limits.timeout_s}
        if "temperature" in self.extra:
            request["temperature"] = self.extra["temperature"]
        return request

    async def _ask(
        self, request: dict[str, Any], on_text: Callable[[str], object] | None
    ) -> Answer:
        return await self._api.ask(request, on_text)
