"""Claude Code, Gemini CLI and Codex, each in a home of its own.

ipcbus was put in as a user does it, by `ipcbus install`, unless a test brings a plugin.
Nothing of the machine's own settings is seen: the environment is made from nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.clis.aimock import aimock
from tests.clis.packages import program
from tests.clis.recorder import Recorder
from tests.clis.responses import responses
from tests.clis.script import Turn

RUN_S = 60.0
"""Seconds for a program to do all that its script says; it takes 2 to 5."""

CONFIGS = Path(__file__).parents[2] / "configs"

IPCBUS = (sys.executable, "-m", "ipcbus")

KEY = "sk-ant-" + "0" * 24
"""No key to anything; it looks like one, or it would not be taken."""


class Seat(NamedTuple):
    """A program that is ready to be started.

    Attributes:
        name: of the agent, which is that of the program as `install` knows it.
        home: of its user.
        folder: where it works.
        env: all that it has as environment.
        start: its command line as an interactive program.
        once: its command line with one prompt, which is to follow.
        model: what it says to its model.
    """

    name: str
    home: Path
    folder: Path
    env: dict[str, str]
    start: tuple[str, ...]
    once: tuple[str, ...]
    model: Recorder

    def ask(self, prompt: str) -> str:
        """Run it with one prompt to its end; what it wrote."""
        return run([*self.once, prompt], self.env, self.folder)


def run(command: list[str], env: dict[str, str], folder: Path, *, code: int = 0) -> str:
    """Run a program that must end with this exit code; what it wrote."""
    done = subprocess.run(
        command,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=RUN_S,
        check=False,
        text=True,
    )
    assert done.returncode == code, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def claude(seat: Seat) -> Seat:
    path = seat.home / ".claude.json"
    settings = _json(path) | {
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "projects": {str(seat.folder): {"hasTrustDialogAccepted": True}},
    }
    path.write_text(json.dumps(settings))
    env = {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": seat.model.url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    command = program("claude")
    once = (command, "--allowedTools", "mcp__ipcbus", "--print")
    return seat._replace(env=seat.env | env, start=(command,), once=once)


def gemini(seat: Seat) -> Seat:
    path = seat.home / ".gemini" / "settings.json"
    # Without it the address of the model selects another way to log in.
    auth = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_json(path) | auth))
    env = {"GEMINI_API_KEY": "x", "GOOGLE_GEMINI_BASE_URL": seat.model.url}
    # Tools that a person must allow are not even offered in a run without one.
    alone = ("--skip-trust", "--approval-mode", "yolo")
    command = (program("gemini"), *alone, "-m", "gemini-2.5-flash")
    return seat._replace(env=seat.env | env, start=command, once=(*command, "-p"))


def codex(seat: Seat) -> Seat:
    path = seat.home / ".codex" / "config.toml"
    server = "[mcp_servers.ipcbus]\n"
    # Else Codex begins its first turn without the tools of servers that still start.
    installed = path.read_text().replace(server, f"{server}required = true\n")
    path.write_text(
        f"""\
model = "gpt-5"
model_provider = "script"

{installed}
[model_providers.script]
name = "script"
base_url = "{seat.model.url}/v1"
wire_api = "responses"
env_key = "SCRIPT_KEY"

[projects."{seat.folder}"]
trust_level = "trusted"
"""
    )
    # Hooks are reviewed by a person once; here nobody is.
    command = (program("codex"), "--dangerously-bypass-hook-trust")
    once = (*command, "exec", "--json", "--skip-git-repo-check")
    return seat._replace(env=seat.env | {"SCRIPT_KEY": "x"}, start=command, once=once)


SEATS = {"claude": claude, "gemini": gemini, "codex": codex}

PREFIXES = {"claude": "mcp__ipcbus__", "gemini": "mcp_ipcbus_"}
"""What a program sets before the names of our tools. Codex has a namespace for it."""


@contextmanager
def seated(
    name: str,
    home: Path,
    *script: Turn,
    install: bool = True,
    prefix: str | None = None,
) -> Iterator[Seat]:
    """The program with a model that says the script, until the block ends.

    `prefix`: what stands before the names of our tools, if not what is usual.
    """
    model = (
        responses(script)
        if name == "codex"
        else aimock(script, home, prefix or PREFIXES[name])
    )
    env = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "IPCBUS_HOME": os.environ["IPCBUS_HOME"],
    }
    folder = home / name
    folder.mkdir()
    if install:
        run([*IPCBUS, "install", name, "--network", "dev"], env, folder)
    with model as url, Recorder(url) as recorder:
        yield SEATS[name](Seat(name, home, folder, env, (), (), recorder))


def _json(path: Path) -> dict[str, Any]:
    """The settings in a file; none if it is not there."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found
