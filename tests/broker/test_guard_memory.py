"""What the loop guard remembers of those who talk on for ever: within its bounds."""

from __future__ import annotations

import pytest

from ipcbus.broker.events import Now
from ipcbus.broker.guards import MOST_OF_ROUND, Guards
from ipcbus.broker.rounds import Node, said_by
from ipcbus.broker.settings import Settings
from ipcbus.errors import Repeated
from ipcbus.protocol.messages import INFORM

A, B = 1, 2


def _nobody(node: Node) -> bool:
    return False


class Talk:
    def __init__(self, settings: Settings, pause_s: float) -> None:
        self.guards = Guards(settings, str)
        self._pause_s = pause_s
        self._mono = 100.0
        self._count = 0

    def say(self, sender: int, to: int, words: str) -> None:
        self._mono += self._pause_s
        self._count += 1
        now = Now(self._mono, int(self._mono * 1000))
        said, text = said_by(sender, to, INFORM, None, None), (None, words.encode())
        seen = self.guards.look(said, f"m{self._count}", text, now, _nobody)
        self.guards.note(said, seen, [f"m{self._count}"], text, now)

    def go_on(self, turns: int) -> None:
        """They never say the same again, and are never silent for a minute."""
        for turn in range(turns):
            self.say(*((A, B) if turn % 2 else (B, A)), f"{self._count}")


def test_words_of_steady_talkers_are_bounded() -> None:
    talk = Talk(Settings(guard_thread=0), pause_s=4.0)
    talk.go_on(3 * MOST_OF_ROUND)
    (known,) = talk.guards._rounds.values()
    assert len(known.said) == MOST_OF_ROUND
    assert len(known.times) <= 16


def test_so_are_their_turns_when_they_may_have_as_many_as_they_like() -> None:
    talk = Talk(Settings(guard_thread=0, guard_pair=0), pause_s=0.01)
    talk.go_on(3 * MOST_OF_ROUND)
    (known,) = talk.guards._rounds.values()
    assert len(known.times) == len(known.said) == MOST_OF_ROUND


def test_what_was_said_last_is_still_known_then() -> None:
    talk = Talk(Settings(guard_thread=0), pause_s=4.0)
    talk.go_on(2 * MOST_OF_ROUND)
    for _ in range(2):
        talk.say(B, A, "as I said")
        talk.say(A, B, str(talk._count))
    with pytest.raises(Repeated):
        talk.say(B, A, "as I said")
