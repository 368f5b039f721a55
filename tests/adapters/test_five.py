"""Five agents of five adapters on two networks, until a limit ends their conversation.

    scribe  script     dev    hands on what it hears to the next, round and round
    parrot  echo       dev    says it back
    counter command    dev    counts the rounds
    gpt     openai     prod   behind the vendor's own SDK, at aimock
    claude  anthropic  prod   the same

The whole of it is one file that `ipcbus up` runs: networks, bridge and agents.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import ipcbus
from ipcbus.adapters.ledger import Ledger
from ipcbus.client.words import Record
from ipcbus.networks import find
from tests.clis.aimock import serving
from tests.clis.packages import AIMOCK, found
from tests.clis.processes import Process
from tests.examples import ROOT
from tests.waiting import until

ROUNDS: Final = 2
THREAD: Final = "the-rounds"
WAIT_S: Final = 60.0

COUNTER: Final = """
import re, sys
print("round", int(re.findall(r"round (\\d+)", sys.stdin.read())[-1]) + 1)
"""


def configuration(url: str) -> dict[str, Any]:
    def agent(adapter: str, **more: Any) -> dict[str, Any]:
        limits = {"turns_per_thread": ROUNDS}
        return {"adapter": adapter, "human": "alice@dev", "limits": limits, **more}

    scribe = agent("script", options={"file": "scribe.yaml"})
    counter = [sys.executable, "counter.py"]
    return {
        "networks": {"dev": None, "prod": None},
        "bridges": {"dev-prod": {"between": ["dev", "prod"]}},
        "agents": {
            "scribe@dev": {**scribe, "limits": {"turns_per_thread": 0}},
            "parrot@dev": agent("echo"),
            "counter@dev": agent("command", command=counter, options={"input": "last"}),
            "gpt@prod": agent("openai", model="gpt", base_url=f"{url}/v1"),
            "claude@prod": agent("anthropic", model="claude", base_url=url),
        },
    }


def script() -> dict[str, Any]:
    """Whoever speaks, the next one hears it; nobody gets an answer."""
    order = ("alice", "parrot", "counter", "gpt@prod", "claude@prod")
    handed = [
        {
            "from": who,
            "calls": [{"name": "send", "arguments": _mail(to)}],
            "say": "NO_REPLY",
        }
        for who, to in zip(order, (*order[1:], order[1]), strict=True)
    ]
    return {"replies": [{"when": "*is paused*", "say": "NO_REPLY"}, *handed]}


def _mail(to: str) -> dict[str, str]:
    return {"to": to, "text": "{text}", "thread": THREAD}


def models() -> dict[str, Any]:
    """What the two say, by the last that they heard."""
    rounds = range(2, 2 * ROUNDS + 3)
    gpt = {f"round {n}": f"gpt has seen round {n}" for n in rounds}
    claude = {said: said.replace("gpt", "claude") for said in gpt.values()}
    return {
        "fixtures": [
            {"match": {"userMessage": heard}, "response": {"content": said}}
            for heard, said in [*claude.items(), *gpt.items()]
        ]
    }


def transcript() -> list[tuple[str, str, str]]:
    """From, to and text of all messages, until one is not answered any more."""
    said, text = [], "round 1"
    for number in range(2, ROUNDS + 2):
        answers = {
            "parrot": text,
            "counter": f"round {number}",
            "gpt@prod": f"gpt has seen round {number}",
            "claude@prod": f"claude has seen round {number}",
        }
        for who, answer in answers.items():
            said += [("scribe", who, text), (who, "scribe", answer)]
            text = answer
    return [*said, ("scribe", "parrot", text)]


@pytest.fixture
def model(missing_part: Callable[[str], None], tmp_path: Path) -> Iterator[str]:
    if found("llmock") is None:
        missing_part(AIMOCK)
    with serving(models(), tmp_path) as url:
        yield url


@contextmanager
def crew(url: str, folder: Path) -> Iterator[Process]:
    """All of it, when it works."""
    (folder / "bus.yaml").write_text(yaml.safe_dump(configuration(url)))
    (folder / "scribe.yaml").write_text(yaml.safe_dump(script()))
    (folder / "counter.py").write_text(COUNTER)
    command = [sys.executable, "-m", "ipcbus", "up", "--config", folder / "bus.yaml"]
    keys = {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}
    env = {**os.environ, **keys, "PYTHONPATH": str(ROOT)}
    with Process([str(word) for word in command], env=env) as process:
        process.wait_for(" serves ", times=5, within=WAIT_S)
        process.wait_for(": running", times=2, within=WAIT_S)
        yield process


def conversation() -> list[Record]:
    with ipcbus.connect("dev", agent="scribe") as scribe:
        return scribe.history(100, thread=THREAD).records[::-1]


def has_ended() -> bool:
    """All is settled but for the last message, which is kept."""
    states = [each.state for each in conversation()]
    return {*states[:-1]} == {"done"} and states[-1] == "waiting"


def test_five_agents_talk_until_a_limit_ends_it(
    home: Path, model: str, tmp_path: Path
) -> None:
    with crew(model, tmp_path), ipcbus.connect("dev", agent="alice") as alice:
        alice.send("scribe", "round 1")
        [told] = alice.receive(1, timeout=WAIT_S)
        told.ack()
        assert (told.sender, told.labels) == ("parrot", ("paused",))
        assert f"{ROUNDS} turns in conversation {THREAD}" in str(told.body)
        stopped = Ledger(find("dev"), "parrot").read().stopped
        assert stopped is not None
        assert stopped.bound == "turns_per_thread"

        until(has_ended, "the end of the conversation")
        heads = [(each.header, each.body.decode()) for each in conversation()]
        assert [(head.sender, head.to, text) for head, text in heads] == transcript()
        foreign = [head for head, _ in heads if head.sender.endswith("@prod")]
        assert {head.trust for head in foreign} == {"foreign"}
        assert len(foreign) == 2 * ROUNDS
        for name in ("dev", "prod"):
            with ipcbus.connect(name, agent="") as operator:
                assert not operator.status()["counters"].get("dead")
