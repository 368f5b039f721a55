"""Two agents that answer by themselves, one in each network; neither has a model.

Their answers stand in files (the adapter `script`), so that this needs no key and no
other machine, and goes the same way each time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import IO, Final

from ipcbus import networks
from ipcbus.client.connect import connect
from ipcbus.client.words import Record
from ipcbus.doors.demo.bridge import END_S, WORKS_S
from ipcbus.doors.demo.cast import WAIT_S, Cast, until
from ipcbus.doors.demo.story import Shell, Story
from ipcbus.errors import TimedOut

TURNS: Final = 2
"""Answers that planner may give in one conversation."""

LIMIT: Final = f"turns_per_thread={TURNS}"

ANSWER: Final = "all 42 tests pass"

SCRIPTS: Final = {
    "planner": {
        "replies": [
            {
                "from": "alice",
                "calls": [
                    {
                        "name": "send",
                        "arguments": {
                            "to": "builder@prod",
                            "text": "{from} would release: are the tests green?",
                        },
                    }
                ],
                "say": "I have asked builder@prod",
            },
            {
                "from": "builder@prod",
                "when": ANSWER,
                "calls": [
                    {
                        "name": "send",
                        "arguments": {"to": "alice", "text": "{from} says: {text}"},
                    }
                ],
                "say": "thank you",
            },
            {"from": "builder@prod", "say": "no, thank you for '{text}'"},
        ]
    },
    "builder": {
        "replies": [
            {"when": "*tests*", "say": ANSWER},
            {"when": "*is paused*", "say": "NO_REPLY"},
            {"say": "thank you for '{text}'"},
        ]
    },
}


class Agent:
    """A process `ipcbus agent`; what it says goes into the transcript."""

    def __init__(self, story: Story, name: str, network: str, *more: str) -> None:
        self._story = story
        self._name = name
        self._works = Event()
        file = networks.home() / f"{name}.yaml"
        file.write_text(json.dumps(SCRIPTS[name]))  # JSON is YAML
        who = ["--as", name, "--network", network]
        script = ["--adapter", "script", "--option", f"file={file.name}"]
        command = ["agent", *who, *script, *more]
        story.command("you", command)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ipcbus", *command, "--json"],
            env=Shell(story, "you").env,
            cwd=file.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self._listener = Thread(target=self._listen, args=(self._process.stdout,))
        self._listener.start()

    def wait_until_it_works(self) -> None:
        if not self._works.wait(WORKS_S):
            raise TimedOut(what=f"the agent {self._name}", seconds=WORKS_S)

    def _listen(self, lines: IO[bytes]) -> None:
        """Tell what it says, until it has ended."""
        with lines:
            for line in lines:
                document = json.loads(line)
                self._story.tell(self._name, str(document.get("said", document)))
                self._works.set()

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()


@contextmanager
def _agents(story: Story) -> Iterator[None]:
    """planner in dev, builder in prod, until the block ends."""
    limits = ("--limit", LIMIT, "--human", "alice")
    started: list[Agent] = []
    try:
        started.append(Agent(story, "builder", "prod"))
        started.append(Agent(story, "planner", "dev", *limits))
        for agent in started:
            agent.wait_until_it_works()
        yield
    finally:
        for agent in started:
            agent.end()


def two_agents(story: Story, cast: Cast) -> None:
    """They work together, and then thank each other without end."""
    story.title("Two agents that answer by themselves, and do not know when to stop")
    cast.bridge.start()
    with _agents(story):
        story.tell("alice", "> planner: 'may I release?'")
        cast.alice.send("planner", "may I release?")
        heard = _heard(story, cast)
        exchanged = _between("planner", "builder@prod")
    for record in exchanged:
        words = record.body.decode(errors="replace")
        story.tell("", f"{record.header.sender} > {record.header.to}: {words!r}")
    story.prove(
        "agents of two networks work together over the bridge",
        f"builder@prod says: {ANSWER}" in heard,
        "1 question, handed on, answered, handed back",
    )
    thanks = [one for one in exchanged if one.header.kind == "reply"]
    answers = sum(one.header.sender == "planner" for one in thanks)
    paused = [words for words in heard if words.startswith("planner is paused")]
    story.prove(
        "two that thank each other without end are stopped by a limit",
        answers == TURNS and len(paused) == 1,
        f"{answers} answers of {TURNS} allowed, {len(paused)} notice to a person",
    )


def _heard(story: Story, cast: Cast) -> list[str]:
    """All that alice reads, until she is told that planner has stopped."""
    heard: list[str] = []

    def is_paused() -> bool:
        for message in cast.alice.receive(timeout=0.1):
            heard.append(str(message.body))
            story.tell("alice", f"< {message.sender}: {message.body!r}")
            message.ack()
        return any(words.startswith("planner is paused") for words in heard)

    until(is_paused, f"the end of their thanks, within {WAIT_S:g} s")
    return heard


def _between(name: str, other: str) -> list[Record]:
    """What the two wrote to each other, oldest first."""
    with connect("dev", agent=name) as one:
        records = one.history(100).records[::-1]
    return [each for each in records if other in (each.header.sender, each.header.to)]
