"""An adapter that needs no platform: it says back what it hears, louder.

What is to be changed for a real one is the body of `turn`, `check` and `close`.
"""

from __future__ import annotations

from ipcbus.adapters.base import Answer, Finding, Options, Turn, Usage
from ipcbus.adapters.heard import heard
from ipcbus.errors import UsageError


class Shout:
    """Option `mark`: what it puts behind each message."""

    needs = ""

    def __init__(self, options: Options) -> None:
        """Refuse what would be ignored: it is found now, not by its price."""
        unknown = options.extra.keys() - {"mark"}
        if unknown or options.model or options.base_url or options.command:
            raise UsageError(reason="shout has one option: mark")
        self._mark = str(options.extra.get("mark", "!"))

    async def turn(self, turn: Turn) -> Answer:
        """Ask the model: `turn.system`, `turn.said` and `turn.tools` go in.

        A real model is shown `turn.said` as it is, each text of a peer in its frame.
        This one has no use for the frame and takes the messages out of it. Tools that
        a model calls go into `Answer(calls=...)` with the stop reason `TOOLS`; the next
        turn has what they answered.
        """
        said = "\n".join(one.text for one in heard(turn.said[-1].text))
        text = said.upper() + self._mark
        if turn.on_text is not None:  # somebody wants to see it grow
            turn.on_text(text)
        return Answer(text, usage=Usage(len(said.split()), len(text.split())))

    async def check(self) -> list[Finding]:
        """For `ipcbus adapters check shout`: the SDK, the key, the endpoint."""
        return [Finding("ok", f"it shouts with {self._mark}")]

    async def close(self) -> None:
        """Close the connections of a client here."""
