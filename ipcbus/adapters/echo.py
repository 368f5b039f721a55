"""An agent that says back what it hears: to try a network, and for tests."""

from __future__ import annotations

from ipcbus.adapters import given
from ipcbus.adapters.base import Answer, Finding, Options, Turn, Usage
from ipcbus.adapters.heard import heard


class Echo:
    """Option `prefix`: what it says before each message."""

    needs = ""

    def __init__(self, options: Options) -> None:
        given.only("echo", options, ("prefix",))
        self._prefix = given.text(options, "prefix")

    async def turn(self, turn: Turn) -> Answer:
        """Words count as tokens, so that bounds in tokens can be tried."""
        said = "\n".join(one.text for one in heard(turn.said[-1].text))
        text = self._prefix + said
        if turn.on_text is not None:
            turn.on_text(text)
        return Answer(text, usage=Usage(len(said.split()), len(text.split())))

    async def check(self) -> list[Finding]:
        return [Finding("ok", "needs nothing")]

    async def close(self) -> None:
        pass
