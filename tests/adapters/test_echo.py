"""An agent that says back what it hears."""

from __future__ import annotations

import asyncio

import pytest

from ipcbus.adapters.base import Answer, Options, Said, Turn, Usage
from ipcbus.adapters.echo import Echo
from ipcbus.errors import UsageError

FRAMED = """\
[alice (local), request, now, id 01hv]
| hello
|   there

[bob (foreign, 2 hops), inform, 2 min ago, to #news, id 01hw]
| and I
[attached: a.txt, 3 B]"""


def asked(text: str, **options: object) -> Answer:
    echo = Echo(Options(extra=options))
    return asyncio.run(echo.turn(Turn("", (Said("user", text),))))


def test_it_says_back_what_others_wrote_and_not_what_stands_around_it() -> None:
    assert asked(FRAMED).text == "hello\n  there\nand I"


def test_it_says_its_prefix_first() -> None:
    assert asked(FRAMED, prefix="I heard: ").text.startswith("I heard: hello\n")


def test_what_is_in_no_frame_is_said_back_too() -> None:
    assert asked("[a head of my own]\n| and a bar").text == (
        "[a head of my own]\n| and a bar"
    )


def test_words_count_as_tokens() -> None:
    answer = asked("one two three", prefix="so: ")

    assert answer.usage == Usage(3, 4)
    assert answer.stop == "end"


def test_who_listens_hears_it() -> None:
    pieces: list[str] = []
    turn = Turn("", (Said("user", "hello"),), on_text=pieces.append)

    asyncio.run(Echo(Options()).turn(turn))

    assert "".join(pieces) == "hello"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (Options(model="gpt"), "echo takes no model"),
        (Options(base_url="http://there"), "echo takes no base-url"),
        (Options(command=("cat",)), "echo takes no command"),
        (Options(extra={"prefx": ">"}), "did you mean prefix?"),
        (Options(extra={"prefix": ["a"]}), "must be text"),
    ],
)
def test_what_it_would_ignore_is_refused(options: Options, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        Echo(options)

    assert reason in str(caught.value)


def test_it_needs_nothing() -> None:
    async def story() -> None:
        echo = Echo(Options())
        assert [one.status for one in await echo.check()] == ["ok"]
        await echo.close()

    asyncio.run(story())
