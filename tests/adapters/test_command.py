"""Any program as an agent: real small ones are run for each turn."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from ipcbus.adapters.base import TOOLS, Answer, Finding, Limits, Options, Said, Turn
from ipcbus.adapters.command import MOST_ARGUMENT, Command
from ipcbus.doors.tools.registry import BY_NAME
from ipcbus.errors import (
    AdapterFailed,
    AdapterMissing,
    KeyRefused,
    Overloaded,
    TooLong,
    UsageError,
)

FRAMED = "[bob (local), request, now, id 01]\n| hello\n| there"
TURN = Turn("You are ann.", (Said("user", FRAMED),), (BY_NAME["send"],))

ECHO = "import sys; print(sys.stdin.read())"


def python(code: str, *words: str, **extra: Any) -> Command:
    """A program in Python; `words` are its arguments."""
    named = {name.replace("env_", "env."): value for name, value in extra.items()}
    command = (sys.executable, "-S", "-c", dedent(code), *words)
    return Command(Options(command=command, extra=named), lambda: "call-1")


def asked(command: Command, turn: Turn = TURN) -> Answer:
    return asyncio.run(command.turn(turn))


def failed(command: Command, turn: Turn = TURN) -> AdapterFailed:
    with pytest.raises(AdapterFailed) as caught:
        asked(command, turn)
    return caught.value


# --- in ----------------------------------------------------------------------------


def test_it_reads_the_conversation_and_its_answer_is_what_it_writes() -> None:
    answer = asked(python(ECHO))

    assert answer.text.startswith("You are ann.\n\n=== message ===\n[bob (local), ")
    assert "\n| hello\n| there\n" in answer.text
    assert (answer.calls, answer.usage, answer.stop) == ((), None, "end")


def test_the_last_message_alone_can_be_its_input() -> None:
    assert asked(python(ECHO, input="last")).text == "hello\nthere"


def test_the_turn_can_be_its_input_as_data() -> None:
    document = json.loads(asked(python(ECHO, input="json")).text)

    assert document["system"] == "You are ann."
    assert document["said"][0]["text"] == FRAMED
    assert document["tools"][0]["name"] == "send"


def test_the_conversation_can_be_an_argument() -> None:
    code = "import sys; print(sys.argv[1], repr(sys.stdin.read()))"

    assert asked(python(code, "{prompt}", input="last")).text == "hello\nthere ''"


@pytest.mark.parametrize("text", ["$(touch x); `id` 'a' \"b\" \\", "-rf", "a\nb\tc"])
def test_what_others_write_stays_one_argument(text: str) -> None:
    code = "import sys; print(sys.argv[1:])"
    turn = Turn("", (Said("user", text),))

    answer = asked(python(code, "{prompt}", input="last"), turn)

    assert answer.text == str([text if text != "-rf" else " -rf"])


def test_a_prompt_that_is_too_long_an_argument_is_told() -> None:
    turn = Turn("", (Said("user", "x" * (MOST_ARGUMENT + 1)),))

    error = failed(python(ECHO, "{prompt}", input="last"), turn)

    assert isinstance(error, TooLong)
    assert "too long an argument" in str(error)


def test_it_has_its_own_environment_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    monkeypatch.setenv("IPCBUS_AGENT", "ann")
    monkeypatch.setenv("WANTED", "y")
    code = """
        import json, os
        print(json.dumps({"env": dict(os.environ), "cwd": os.getcwd()}))
    """

    answer = asked(python(code, cwd=str(tmp_path), inherit="WANT*", env_OWN="z"))

    found = json.loads(answer.text)
    assert found["cwd"] == str(tmp_path.resolve())
    assert (found["env"]["WANTED"], found["env"]["OWN"]) == ("y", "z")
    assert found["env"]["IPCBUS_HOOKS"] == "off"
    assert not {"SECRET_OF_OURS", "IPCBUS_AGENT"} & found["env"].keys()


# --- out ---------------------------------------------------------------------------


def test_its_answer_can_be_a_field_of_json() -> None:
    code = 'print(\'{"choices": [{"text": "yes \\\\ud800"}]}\')'

    assert asked(python(code, answer="json:choices.0.text")).text == "yes ?"


def test_a_field_that_is_missing_is_no_answer() -> None:
    error = failed(python("print('{}')", answer="json:result"))

    assert "gave no answer: there is no result in the JSON it wrote" in str(error)


def test_who_listens_hears_it_as_it_comes_or_when_it_is_read() -> None:
    for options in ({}, {"tools": "text"}):
        pieces: list[str] = []
        asked(python("print('yes')", **options), TURN._replace(on_text=pieces.append))
        assert "".join(pieces).strip() == "yes"


def test_it_calls_tools_if_it_was_told_of_them() -> None:
    code = """
        import sys
        mark = sys.stdin.read().partition("```")[2].partition("\\n")[0]
        print("I ask bob.")
        print("```" + mark)
        print('{"name": "send", "arguments": {"to": "bob"}}')
        print("```")
    """
    with_tools = asked(python(code, tools="text"))

    assert with_tools.text == "I ask bob."
    assert [call.name for call in with_tools.calls] == ["send"]
    assert with_tools.stop == TOOLS
    assert asked(python(code)).calls == ()
    assert asked(python(code, tools="text"), TURN._replace(tools=())).calls == ()


def test_each_turn_has_a_mark_of_its_own() -> None:
    code = "import sys; print(sys.stdin.read().partition('```')[2][:13])"
    command = Command(
        Options(command=(sys.executable, "-S", "-c", code), extra={"tools": "text"})
    )

    marks = [asked(command).text for _ in range(3)]

    assert len({*marks}) == 3
    assert all(mark.startswith("call-") for mark in marks)


# --- what goes wrong ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("import sys; sys.exit('a\\nwhy')", AdapterFailed, "ended with 1: a / why"),
        ("print('what'); raise SystemExit(2)", AdapterFailed, "ended with 2: what"),
        ("raise SystemExit(75)", Overloaded, "ended with 75"),
        ("raise SystemExit(77)", KeyRefused, "ended with 77"),
        ("import sys; sys.exit('error 401')", AdapterFailed, "ended with 1: error 401"),
        ("import os; os.kill(os.getpid(), 15)", AdapterFailed, "ended by SIGTERM"),
        ("import sys; sys.exit('\\x1b[2J')", AdapterFailed, "ended with 1: \\x1b[2J"),
    ],
)
def test_how_it_ended_says_what_to_do(
    code: str, kind: type[AdapterFailed], said: str
) -> None:
    error = failed(python(code))

    assert type(error) is kind
    assert said in str(error)


def test_of_a_long_complaint_the_end_is_told() -> None:
    error = failed(python("import sys; sys.exit('x' * 9999 + ' why')"))

    assert str(error).endswith("x why")
    assert len(str(error)) < 700


def test_no_key_is_told() -> None:
    code = "import os, sys; sys.exit('refused: ' + os.environ['MY_API_KEY'])"

    error = failed(python(code, env_MY_API_KEY="sk-12345678"))

    assert str(error).endswith("refused: (MY_API_KEY)")


@pytest.mark.parametrize("limits", [{"timeout": "500ms"}, {}])
def test_one_that_takes_too_long_is_a_failure(limits: dict[str, str]) -> None:
    turn = TURN if limits else TURN._replace(limits=Limits(timeout_s=0.5))

    error = failed(python("import time; time.sleep(600)", **limits), turn)

    assert "gave no answer within 0.5 s" in str(error)


def test_one_that_writes_too_much_is_a_failure() -> None:
    error = failed(python("while True: print('x' * 65536)"))

    assert "wrote more than 1.0 MiB" in str(error)


def test_one_that_is_not_there_is_missing() -> None:
    error = failed(Command(Options(command=("/there/is/no/such",))))

    assert isinstance(error, AdapterMissing)
    assert "such cannot be started: No such file" in str(error)


def test_one_that_may_not_be_run_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")

    assert type(failed(Command(Options(command=(str(tmp_path / "text"),))))) is (
        AdapterFailed
    )


# --- known programs -----------------------------------------------------------------


def known(name: str, folder: Path, code: str, **extra: Any) -> Command:
    """A stand-in that has the name of a program that is known."""
    program = folder / name
    program.write_text(f"#!{sys.executable} -S\n{dedent(code)}")
    program.chmod(0o755)
    return Command(Options(command=(str(program),), extra=extra), lambda: "call-1")


def test_a_known_program_is_asked_for_json_and_read(tmp_path: Path) -> None:
    code = """
        import json, sys
        result = f"{sys.argv[1:]} {'```call-1' in sys.stdin.read()}"
        usage = {"input_tokens": 3, "output_tokens": 5}
        print(json.dumps({"result": result, "usage": usage, "is_error": False}))
    """

    answer = asked(known("claude", tmp_path, code))

    assert answer.text == "['-p', '--output-format', 'json'] True"
    assert answer.usage == (3, 5)


@pytest.mark.parametrize(
    ("problem", "status", "kind"),
    [
        ("Invalid API key", 401, KeyRefused),
        ("Overloaded", 529, Overloaded),
        ("Prompt is too long", 400, TooLong),
        ("It broke", 500, AdapterFailed),
    ],
)
def test_what_a_known_program_says_of_its_platform_is_understood(
    problem: str, status: int, kind: type[AdapterFailed], tmp_path: Path
) -> None:
    said = {"result": problem, "is_error": True, "api_error_status": status}
    code = f"print({json.dumps(said)!r}); raise SystemExit(1)"

    error = failed(known("claude", tmp_path, code))

    assert type(error) is kind
    assert f"claude ended with 1: {problem}" in str(error)


# --- check --------------------------------------------------------------------------


def found(command: Command) -> list[Finding]:
    return asyncio.run(command.check())


def test_a_check_runs_it_once() -> None:
    program, folder, answer = found(python("print('ready.')"))

    assert program == ("ok", f"the program is {sys.executable}")
    assert folder == ("ok", f"in {Path.cwd()}")
    assert answer.status == "ok"
    assert answer.text.endswith(" s: ready.")


def test_a_check_says_which_preset_holds(tmp_path: Path) -> None:
    findings = found(known("llm", tmp_path, "print('ready')"))

    assert findings[1].text.endswith(", as llm")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("pass", "warning", "but with nothing"),
        ("raise SystemExit(3)", "failed", "ended with 3"),
    ],
)
def test_a_check_tells_what_is_wrong(code: str, status: str, said: str) -> None:
    last = found(python(code))[-1]

    assert last.status == status
    assert said in last.text


def test_a_check_finds_that_there_is_no_program(tmp_path: Path) -> None:
    for name in ("there-is-no-such-program", "./there-is-none"):
        command = Command(Options(command=(name,), extra={"cwd": str(tmp_path)}))
        assert found(command) == [("failed", f"there is no program {name}")]


def test_a_program_of_its_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("#!/bin/sh\necho yes")
    (tmp_path / "answer").chmod(0o755)
    command = Command(Options(command=("./answer",), extra={"cwd": str(tmp_path)}))

    assert [one.status for one in found(command)] == ["ok", "ok", "ok"]


def test_it_takes_no_address() -> None:
    with pytest.raises(UsageError, match="command takes no base-url"):
        Command(Options(base_url="http://there", command=("sort",)))
