"""`adapters`: which there are, and whether one would work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ipcbus.adapters.finding import BUILT_IN
from ipcbus.version import __version__
from tests.doors.cli.conftest import Call, Run

BROKEN = "import there_is_no_such_module"
RAISING = """
class Bad:
    needs = ""
    def __init__(self, options): pass
    async def turn(self, turn): ...
    async def check(self): raise ValueError("what?")
    async def close(self): ...
"""
ENDLESS = RAISING.replace(
    'raise ValueError("what?")', "import asyncio; await asyncio.Event().wait()"
)


def package(folder: Path, code: str) -> dict[str, str]:
    """A package with the adapter `bad`, and the environment in which it is found."""
    (folder / "bad_one.py").write_text(code)
    info = folder / "bad_one-0.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-one\nVersion: 0.9")
    (info / "entry_points.txt").write_text("[ipcbus.adapters]\nbad = bad_one:Bad\n")
    return {"PYTHONPATH": str(folder)}


# --- list ---------------------------------------------------------------------------


def test_all_that_can_be_used_are_listed(call: Call) -> None:
    listed = call("adapters", "list")["adapters"]

    ours = {one["name"]: one for one in listed if one["package"] == "ipcbus"}
    assert ours.keys() == BUILT_IN.keys()
    assert ours["openai"] == {
        "name": "openai",
        "where": BUILT_IN["openai"],
        "package": "ipcbus",
        "version": __version__,
        "needs": "openai",
    }


def test_the_list_is_a_table_for_people(run: Run) -> None:
    lines = run("adapters", "list").out.splitlines()

    assert lines[0].split() == ["adapter", "of", "needs"]
    assert lines[1].split() == ["anthropic", "ipcbus", __version__, "ipcbus[anthropic]"]
    assert ["echo", "ipcbus", __version__] in [line.split() for line in lines]


def test_a_broken_package_is_one_line_beside_the_list(run: Run, tmp_path: Path) -> None:
    done = run("adapters", "list", env=package(tmp_path, BROKEN))

    assert done.code == 0
    [line] = done.err.splitlines()
    assert line.startswith("ipcbus: bad-one 0.9: the adapter bad is left out: Module")
    assert done.out.count("\n") == 1 + len(BUILT_IN)


def test_packages_of_others_can_be_kept_out(run: Run, tmp_path: Path) -> None:
    env = package(tmp_path, BROKEN) | {"IPCBUS_LOAD_PLUGINS": ""}

    assert run("adapters", "list", env=env).err == ""


# --- check --------------------------------------------------------------------------


def test_one_that_works_is_ready(run: Run) -> None:
    done = run("adapters", "check", "echo", "--json")

    assert (done.code, done.json) == (
        0,
        {
            "adapter": "echo",
            "ready": True,
            "findings": [{"status": "ok", "text": "needs nothing"}],
        },
    )
    assert run("adapters", "check", "echo").out == "ok       needs nothing\n"


def test_a_program_is_run(run: Run) -> None:
    command = (sys.executable, "-S", "-c", "print('ready')")

    done = run("adapters", "check", "command", "--json", "--", *command)

    assert done.code == 0
    assert [one["status"] for one in done.json["findings"]] == ["ok"] * 3
    assert done.json["findings"][2]["text"].endswith("ready")


def test_one_that_fails_ends_with_1_and_says_why(run: Run) -> None:
    command = (sys.executable, "-S", "-c", "import sys; sys.exit('why')")

    done = run("adapters", "check", "command", "--", *command)

    assert done.code == 1
    assert done.out.splitlines()[-1].startswith("failed   command: ")
    assert done.out.endswith("ended with 1: why\n")
    assert done.err == ""


@pytest.mark.parametrize("name", ["anthropic", "gemini"])
def test_a_key_that_is_missing_is_a_finding(name: str, run: Run) -> None:
    """As is an SDK that is missing: the test holds with and without it."""
    keys = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY")
    env = dict.fromkeys((*keys, "GOOGLE_API_KEY"), "")

    done = run("adapters", "check", name, "--model", "m", "--json", env=env)

    assert done.code == 1
    assert done.json["findings"][-1]["status"] == "failed"
    assert f"{name}: " in done.json["findings"][-1]["text"]


def test_a_failure_of_a_package_is_a_finding(run: Run, tmp_path: Path) -> None:
    done = run("adapters", "check", "bad", "--json", env=package(tmp_path, RAISING))

    assert (done.code, done.json["findings"]) == (
        1,
        [{"status": "failed", "text": "ValueError: what?"}],
    )


@pytest.mark.parametrize("findings", ["None", "['x']", "[('odd', 'text')]"])
def test_what_is_no_finding_is_one_nevertheless(
    run: Run, tmp_path: Path, findings: str
) -> None:
    code = RAISING.replace('raise ValueError("what?")', f"return {findings}")

    done = run("adapters", "check", "bad", env=package(tmp_path, code))

    assert "Traceback" not in done.err
    assert done.out.startswith(("failed", "odd"))


def test_one_that_cannot_close_has_been_checked_nevertheless(
    run: Run, tmp_path: Path
) -> None:
    code = RAISING.replace('raise ValueError("what?")', "return [('ok', 'good')]")
    code = code.replace("async def close(self): ...", "async def close(self): 1 / 0")

    done = run("adapters", "check", "bad", env=package(tmp_path, code))

    assert done.out == "ok       good\n"
    assert (
        done.err == "ipcbus: bad did not close: ZeroDivisionError: division by zero\n"
    )


def test_one_that_does_not_answer_is_given_up(run: Run, tmp_path: Path) -> None:
    env = package(tmp_path, ENDLESS)

    done = run("adapters", "check", "bad", "--timeout", "100ms", "--json", env=env)

    assert (done.code, done.json["error"]["code"]) == (3, "timed_out")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["ecko"], 8, "ecko: there is no such adapter; did you mean echo?"),
        (["echo", "--option", "prefix"], 2, "--option takes KEY=VALUE, not 'prefix'"),
        (["echo", "--option", "prefx=a"], 2, "did you mean prefix?"),
        (["echo", "--model", "m"], 2, "echo takes no model"),
        (["command"], 2, "say which program"),
    ],
)
def test_what_cannot_be_checked_is_an_error(
    words: list[str], code: int, said: str, run: Run
) -> None:
    done = run("adapters", "check", *words)

    assert done.code == code
    assert said in done.err
    assert done.out == ""


def test_letters_that_a_terminal_would_obey_are_shown(run: Run) -> None:
    command = (sys.executable, "-S", "-c", "print('\\x1b[2J')")

    assert "\\x1b[2J" in run("adapters", "check", "command", "--", *command).out
