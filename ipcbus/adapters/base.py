"""The contract between the bus and a model: a turn in, a turn out.

An adapter turns what a platform speaks into these values, and nothing else: it knows
no networks, no mailboxes and no leases. The runner gives it a `Turn`, carries out the
tool calls that it answers with, and gives it the next one, until it answers in words.

This is all of one that can be used (`ipcbus agent --adapter shout --as loud`), once
its package says `shout = "my_package:Shout"` under the entry point `ipcbus.adapters`:

    from ipcbus.adapters.base import Answer, Finding, Options, Turn, Usage

    class Shout:
        needs = ""                        # an extra of ipcbus to install, if any

        def __init__(self, options: Options) -> None:
            self.mark = options.extra.get("mark", "!")

        async def turn(self, turn: Turn) -> Answer:
            said = turn.said[-1].text
            text = said.upper() + self.mark
            if turn.on_text is not None:
                turn.on_text(text)        # pieces, as they come
            return Answer(text, usage=Usage(len(said), len(text)))

        async def check(self) -> list[Finding]:
            return [Finding("ok", "it needs nothing")]

        async def close(self) -> None:
            pass

What goes wrong is told by the errors below, so that the runner knows what to do: wait
and try again, give the message back, or stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol

from ipcbus.doors.tools.tool import Tool

USER: Final = "user"
ASSISTANT: Final = "assistant"
TOOL: Final = "tool"

Role = Literal["user", "assistant", "tool"]

END: Final = "end"
TOOLS: Final = "tools"
LENGTH: Final = "length"
REFUSED: Final = "refused"

Stop = Literal["end", "tools", "length", "refused"]
"""Why a model stopped: it is done; it wants tools; it had no room left; it, or its
platform, would not answer."""


class ToolCall(NamedTuple):
    """A tool that the model wants to be used. `id` is the platform's; made up by the
    adapter where the platform has none. `arguments` are as the model gave them: the
    runner holds them against the schema."""

    id: str
    name: str
    arguments: Any


class Said(NamedTuple):
    """One thing that was said in a conversation.

    `calls` are the assistant's. What a tool answered is of role `tool`, with the `call`
    that it answers.
    """

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    call: ToolCall | None = None


class Limits(NamedTuple):
    """`max_tokens` of an answer; `timeout_s` seconds for one request."""

    max_tokens: int = 4096
    timeout_s: float = 300.0


class Turn(NamedTuple):
    """What a model is asked.

    Attributes:
        system: who it is and what holds.
        said: the conversation, oldest first; the last is a user's or a tool's.
        tools: those that it may call; none: it must answer in words.
        on_text: told pieces of its answer as they come; None: nobody listens.
    """

    system: str
    said: tuple[Said, ...]
    tools: tuple[Tool, ...] = ()
    limits: Limits = Limits()
    on_text: Callable[[str], object] | None = None


class Usage(NamedTuple):
    """Tokens, as the platform counts (and bills) them."""

    input: int = 0
    output: int = 0


class Answer(NamedTuple):
    """What a model answered. `usage` is None where the platform does not tell."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    stop: Stop = "end"


class Options(NamedTuple):
    """What the user said of the model.

    Attributes:
        model: as the platform calls it; empty for its adapter's default, if it has one.
        base_url: of a compatible server; empty for the platform's own.
        command: of adapters that run a program.
        extra: all else, by name; an adapter refuses what it does not know
            (`UsageError`).
    """

    model: str = ""
    base_url: str = ""
    command: tuple[str, ...] = ()
    extra: Mapping[str, Any] = {}


class Finding(NamedTuple):
    """What `ipcbus adapters check` found; `text` never has a key in it."""

    status: Literal["ok", "warning", "failed"]
    text: str


class Adapter(Protocol):
    """A model on some platform. Made by its class with `Options`, in a running loop."""

    needs: str
    """The extra of ipcbus that it needs, for people who lack it; or empty."""

    async def turn(self, turn: Turn) -> Answer:
        """Ask the model. May be called for several conversations at once.

        A cancelled turn ends its request. Raises `Overloaded`, `KeyRefused`,
        `TooLong`, `AdapterFailed`.
        """

    async def check(self) -> list[Finding]:
        """Whether a turn would work: the key, the endpoint, the model."""

    async def close(self) -> None:
        """Let connections go."""
