"""What a user says of a program: taken, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ipcbus.adapters.base import Options
from ipcbus.adapters.commandline import Plan, planned, with_prompt
from ipcbus.adapters.presets import Outcome
from ipcbus.adapters.surroundings import environment, without_secrets
from ipcbus.errors import UsageError


def plan(*command: str, model: str = "", **extra: Any) -> Plan:
    named = {name.replace("env_", "env."): value for name, value in extra.items()}
    return planned(Options(model, "", command, named))


def refused(*command: str, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan(*command, **options)
    return str(caught.value)


# --- the command line -----------------------------------------------------------


def test_a_program_that_is_not_known_is_run_as_it_was_given() -> None:
    found = plan("sort", "-r")

    assert found.command == ("sort", "-r")
    assert (found.preset, found.shown, found.tools) == ("none", "conversation", False)
    assert (found.is_plain, found.by_argument) == (True, False)
    assert found.timeout_s == float("inf")


def test_a_known_program_gets_its_flags_and_the_model() -> None:
    found = plan("claude", model="haiku")

    assert " ".join(found.command) == ("claude -p --output-format json --model haiku")
    assert (found.preset, found.tools, found.is_plain) == ("claude", True, False)
    assert "ANTHROPIC_*" in found.patterns


def test_a_preset_says_what_is_run_if_no_program_is_named() -> None:
    assert plan(preset="codex").command == ("codex", "exec", "--json")
    assert plan("./my-claude", preset="claude").command[:2] == ("./my-claude", "-p")


def test_a_known_program_can_be_taken_as_any_other() -> None:
    found = plan("claude", "-p", preset="none")

    assert found.command == ("claude", "-p")
    assert (found.tools, found.is_plain) == (False, True)


def test_tools_are_told_as_the_user_says() -> None:
    assert plan("sort", tools="text").tools
    assert not plan("claude", tools="none").tools


@pytest.mark.parametrize(
    "command",
    [
        ("./answer", "{prompt}"),
        ("./answer", "--text={prompt}"),
        ("bash", "./answer.sh", "{prompt}"),
        ("python3", "-u", "answer.py", "--text={prompt}"),
        ("gemini", "-p", "{prompt}"),
        ("sh", "-c", 'echo "$1"', "answer", "{prompt}"),
    ],
)
def test_the_prompt_may_be_an_argument(command: tuple[str, ...]) -> None:
    assert plan(*command).by_argument


@pytest.mark.parametrize(
    "command",
    [
        ("{prompt}",),
        ("sh", "-c", "{prompt}"),
        ("/bin/bash", "-ec", "{prompt}"),
        ("env", "zsh", "-c", "{prompt}"),
        ("bash", "{prompt}"),
        ("/usr/bin/python3.12", "-c", "{prompt}"),
        ("node", "--no-warnings", "--eval={prompt}"),
        ("perl", "-e", "{prompt}"),
        ("env", "{prompt}"),
        ("ssh", "there", "./answer", "{prompt}"),
        ("sh", "-c", "echo {prompt}"),
        ("./answer", "say {prompt} now"),
        ("./answer", "-{prompt}"),
    ],
)
def test_the_prompt_never_stands_where_it_would_be_obeyed(
    command: tuple[str, ...],
) -> None:
    assert "{prompt}" in refused(*command)


@pytest.mark.parametrize(
    "command", [("bash",), ("sh", "-s"), ("python3", "-"), ("env", "/usr/bin/perl")]
)
def test_what_others_write_is_never_the_input_of_a_shell(
    command: tuple[str, ...],
) -> None:
    assert "would carry out what others write" in refused(*command)


def test_a_prompt_is_never_taken_for_an_option() -> None:
    command = ("./answer", "{prompt}", "--text={prompt}")

    assert with_prompt(command, "--all {prompt}") == (
        "./answer",
        " --all {prompt}",
        "--text=--all {prompt}",
    )
    assert with_prompt(command, "hello")[1] == "hello"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "say which program"),
        ({"preset": "none"}, "say which program"),
        ({"preset": "cluade"}, "must be"),
        ({"model": "haiku", "preset": "none"}, "say which program"),
    ],
)
def test_there_must_be_a_program(options: dict[str, Any], reason: str) -> None:
    assert reason in refused(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model": "haiku"}, "--model means nothing to this program"),
        ({"input": "stdin"}, "conversation or last or json"),
        ({"tools": "all"}, "the option tools must be"),
        ({"answer": "json"}, "must be text or json:PATH"),
        ({"answer": "xml:a"}, "must be text or json:PATH"),
        ({"timeout": "soon"}, "the option timeout: "),
        ({"cwd": "/there/is/no/such"}, "there is no folder /there/is/no/such"),
        ({"env_": "a"}, "names no variable"),
        ({"env_A=B": "a"}, "names no variable"),
        ({"env_A": "a\0b"}, "names no variable"),
        ({"timeut": "3s"}, "did you mean timeout?"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], reason: str) -> None:
    assert reason in refused("sort", **options)


def test_an_answer_is_where_the_preset_says() -> None:
    assert "the preset says where" in refused("claude", answer="text")


def test_it_works_in_its_folder_and_in_its_time(tmp_path: Path) -> None:
    found = plan("sort", cwd=str(tmp_path), timeout="2m")

    assert (found.folder, found.timeout_s) == (tmp_path, 120.0)
    assert plan("sort").folder == Path.cwd()


# --- its answer -----------------------------------------------------------------


def test_all_that_it_writes_is_the_answer() -> None:
    assert plan("sort").read("\n yes \n", "noise").text == "yes"


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("result.text", "yes", ""),
        ("list.1.text", "no", ""),
        ("result.words", None, "there is no result.words"),
        ("list.7.text", None, "there is no list.7.text"),
        ("result.text.more", None, "there is no result.text.more"),
        ("result", None, "result in the JSON it wrote is no text"),
    ],
)
def test_a_field_of_its_json_is_the_answer(
    path: str, text: str | None, problem: str
) -> None:
    written = '{"result": {"text": "yes"}, "list": [{}, {"text": "no"}]}'

    outcome = plan("sort", answer=f"json:{path}").read(written, "")

    assert outcome.text == text
    assert problem in outcome.problem
    assert not outcome.is_known


def test_what_is_no_json_is_no_answer() -> None:
    assert plan("sort", answer="json:a").read("Traceback", "") == Outcome(
        None, problem="what it wrote is not JSON", is_known=False
    )


# --- its surroundings -----------------------------------------------------------

OURS = {
    "HOME": "/home/ann",
    "LC_ALL": "C",
    "IPCBUS_HOME": "/state",
    "IPCBUS_AGENT": "ann",
    "AWS_SECRET": "aws-secret",
    "ANTHROPIC_API_KEY": "sk-ant-123",
    "NO_COLOR": "",
}


def test_it_inherits_little() -> None:
    assert environment(OURS, (), {}) == {
        "HOME": "/home/ann",
        "LC_ALL": "C",
        "IPCBUS_HOME": "/state",
        "IPCBUS_HOOKS": "off",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


def test_it_inherits_what_its_preset_needs_and_what_the_user_names() -> None:
    found = plan("claude", inherit="AWS_*, TOKEN", env_NO_COLOR="0", env_X="a=b")
    env = environment(OURS, found.patterns, found.own)

    assert env["ANTHROPIC_API_KEY"] == "sk-ant-123"
    assert env["AWS_SECRET"] == "aws-secret"
    assert env["NO_COLOR"] == "0"
    assert env["X"] == "a=b"
    assert "IPCBUS_AGENT" not in env


def test_secrets_are_taken_out_of_what_is_told() -> None:
    env = {"API_KEY": "sk-1234", "OLD_API_KEY": "sk-123456", "HOME": "/home/ann"}

    said = without_secrets("sk-123456 and sk-1234 in /home/ann", env)

    assert said == "(OLD_API_KEY) and (API_KEY) in /home/ann"


def test_what_is_too_short_for_a_secret_is_left_alone() -> None:
    assert without_secrets("a yes", {"USE_KEY": "yes"}) == "a yes"
