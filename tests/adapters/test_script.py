"""An agent whose answers stand in a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbus.adapters import script
from ipcbus.adapters.base import TOOLS, Answer, Options, Said, ToolCall, Turn, Usage
from ipcbus.adapters.script import Script
from ipcbus.doors.tools.registry import BY_NAME
from ipcbus.errors import (
    AdapterFailed,
    ConfigError,
    KeyRefused,
    Overloaded,
    TooLong,
    UsageError,
)

TOOLS_GIVEN = (BY_NAME["send"],)

Write = Callable[[str], Script]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, and make the agent that reads it."""

    def write(text: str) -> Script:
        (tmp_path / "script.yaml").write_text(text)
        return Script(Options(extra={"file": str(tmp_path / "script.yaml")}))

    return write


def framed(text: str, sender: str = "alice") -> str:
    body = "\n".join(f"| {line}" for line in text.split("\n"))
    return f"[{sender} (local), request, now, id 01]\n{body}"


def asked(agent: Script, text: str, sender: str = "alice") -> str:
    turn = Turn("", (Said("user", framed(text, sender)),), TOOLS_GIVEN)
    answer = asyncio.run(agent.turn(turn))
    assert answer.calls == ()
    return answer.text


# --- which answer -------------------------------------------------------------------


def test_the_first_reply_that_fits_is_taken(write: Write) -> None:
    agent = write("""
replies:
  - {from: bob, when: "*build*", say: "bob asks"}
  - {when: "*BUILD?", say: "one letter more"}
  - {when: "hello*", say: "hello {from}"}
default: what?
""")

    assert asked(agent, "is the Build green", "bob") == "bob asks"
    assert asked(agent, "which build?") == "one letter more"
    assert asked(agent, "HELLO\nthere") == "hello alice"
    assert asked(agent, "say hello") == "what?"


def test_without_a_default_it_says_nothing(write: Write) -> None:
    assert asked(write("replies: []"), "hello") == ""
    assert asked(write("default: what?"), "hello") == "what?"


def test_of_a_burst_the_last_message_is_answered(write: Write) -> None:
    agent = write('replies: [{from: bob, say: "{from}: {text}"}]\ndefault: "no {from}"')
    text = f"{framed('one', 'bob')}\n\n{framed('two')}"
    turn = Turn("", (Said("user", text),))

    assert asyncio.run(agent.turn(turn)).text == "no alice"


def test_a_reply_can_be_used_up(write: Write) -> None:
    agent = write("""
replies:
  - {times: 2, say: "for the {text} time"}
default: no more
""")

    assert [asked(agent, str(at)) for at in range(3)] == [
        "for the 0 time",
        "for the 1 time",
        "no more",
    ]


def test_the_same_messages_have_the_same_answers(write: Write) -> None:
    text = "replies: [{times: 1, say: a}, {when: '*2*', say: b}]\ndefault: c"
    messages = ["1", "2", "3", "2"]

    first, second = write(text), write(text)

    assert [asked(first, one) for one in messages] == ["a", "b", "c", "b"]
    assert [asked(second, one) for one in messages] == ["a", "b", "c", "b"]


def test_places_are_filled_once(write: Write) -> None:
    """What peers write may have such words in it; they stay as they are."""
    agent = write('default: "{from} {text} {nobody} {answer}{ {text"')

    assert asked(agent, "{from}{answer}") == "alice {from}{answer} {nobody} { {text"


# --- tools --------------------------------------------------------------------------

CALLING = """
replies:
  - when: go
    calls:
      - name: send
        arguments:
          to: bob
          text: "{from} says {text}"
          labels: ["{text}", a]
          priority: 3
          data: {half: 0.5, yes: true, nothing: null, quoted: "3"}
      - name: agents
    say: "told: {answer}"
  - when: stop
    say: "stopped, {answer}."
"""


def test_tools_come_first_and_words_when_they_have_answered(write: Write) -> None:
    agent = write(CALLING)
    question = Said("user", framed("go"))
    turn = Turn("", (question,), TOOLS_GIVEN)

    first = asyncio.run(agent.turn(turn))

    send, agents = first.calls
    assert (first.text, first.stop) == ("", TOOLS)
    assert send.arguments == {
        "to": "bob",
        "text": "alice says go",
        "labels": ["go", "a"],
        "priority": 3,
        "data": {"half": 0.5, "yes": True, "nothing": None, "quoted": "3"},
    }
    assert (agents.name, agents.arguments) == ("agents", {})

    said = (
        question,
        Said("assistant", "", first.calls),
        Said("tool", "sent", call=send),
        Said("tool", "three", call=agents),
    )
    second = asyncio.run(agent.turn(turn._replace(said=said)))

    assert second == Answer("told: three", usage=Usage(1, 1))


def test_without_tools_it_says_its_words_at_once(write: Write) -> None:
    turn = Turn("", (Said("user", framed("go")),))

    assert asyncio.run(write(CALLING).turn(turn)).text == "told: "


def test_the_next_message_of_a_conversation_is_answered_anew(write: Write) -> None:
    agent = write(CALLING)
    call = ToolCall("reply-0-0", "send", {})
    said = (
        Said("user", framed("go")),
        Said("assistant", "", (call,)),
        Said("tool", "sent", call=call),
        Said("assistant", "told: sent"),
        Said("user", framed("stop")),
    )

    answer = asyncio.run(agent.turn(Turn("", said, TOOLS_GIVEN)))

    assert answer.text == "stopped, ."


# --- how ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fail", "kind"),
    [
        ("failed", AdapterFailed),
        ("overloaded", Overloaded),
        ("key", KeyRefused),
        ("too_long", TooLong),
    ],
)
def test_it_can_fail_as_a_platform_does(
    fail: str, kind: type[AdapterFailed], write: Write
) -> None:
    agent = write(f"replies: [{{fail: {fail}, times: 1}}]\ndefault: again")

    with pytest.raises(AdapterFailed) as caught:
        asked(agent, "hello")

    assert type(caught.value) is kind
    assert asked(agent, "hello") == "again"


def test_it_can_take_its_time(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("ipcbus.adapters.script.asyncio.sleep", sleep)

    assert asked(write("replies: [{after_s: 1.5, say: done}]"), "hello") == "done"
    assert waited == [1.5]


def test_who_listens_hears_it_line_by_line(write: Write) -> None:
    pieces: list[str] = []
    turn = Turn("", (Said("user", framed("go")),), on_text=pieces.append)

    asyncio.run(write('default: "one\\ntwo"').turn(turn))

    assert pieces == ["one\n", "two"]


def test_a_check_tells_what_the_file_has(write: Write) -> None:
    [found] = asyncio.run(write(CALLING).check())

    assert found.status == "ok"
    assert found.text.endswith("script.yaml: 2 replies and a default")


# --- the file -----------------------------------------------------------------------

WRONG = {
    "replise: []": "replise",
    "replies: no": "replies (line 1): must be a list",
    "replies: [{when: a}]": "replies[0] (line 1): does nothing",
    "replies: [{say: a, wehn: b}]": "replies[0].wehn (line 1)",
    "replies:\n- {say: a}\n- {say: a, fail: often}": "replies[1].fail (line 3)",
    "replies: [{say: a, times: 0}]": "replies[0].times (line 1)",
    "replies: [{say: a, after_s: 1h}]": "replies[0].after_s (line 1): '1h' is not sec",
    "replies: [{say: a, after_s: 3601}]": "at most 3600",
    "replies: [{calls: [{arguments: {}}]}]": "replies[0].calls[0] (line 1): name is",
    "replies: [{calls: [{name: a, arguments: b}]}]": "replies[0].calls[0].arguments",
    "replies: [{calls: [{name: a, argument: {}}]}]": "replies[0].calls[0].argument ",
    "replies: [{say: [a]}]": "replies[0].say",
    "default: {}": "default",
    "- a": "script.yaml",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_told_with_its_place(text: str, write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        write(text)

    assert WRONG[text] in str(caught.value)
    assert "script.yaml" in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        Script(Options(extra={"file": str(tmp_path / "none.yaml")}))


def test_it_has_to_have_a_file() -> None:
    with pytest.raises(UsageError, match="file=PATH"):
        Script(Options())


def test_the_example_of_the_module_and_of_the_docs_can_be_read(write: Write) -> None:
    docs = Path(__file__).parents[2] / "docs" / "adapters.md"
    shown = docs.read_text().partition("## Scripts")[2].partition("```yaml\n")[2]
    assert script.__doc__ is not None
    told = script.__doc__.partition("demonstrations.\n")[2].partition("\nThe first")[0]

    for text in (shown.partition("```")[0], told):
        assert "replies:" in text
        write(text)
