"""The scripts of docs/function-calling.md, run as they stand there.

Each takes our tools to the real client of an API and lets the model call them until it
has done: a tool loop of two steps. The model is aimock, which speaks all of the APIs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ipcbus import Client
from ipcbus.doors.tools import TOOLS
from tests.clis.recorder import Request
from tests.clis.script import Call, Say
from tests.doors.apis.conftest import Model
from tests.examples import ROOT

PAGE = ROOT / "docs" / "function-calling.md"
RUN_S = 60.0

_CODE = re.compile(r"^```py\n(.*?)^```", re.DOTALL | re.MULTILINE)


def scripts() -> dict[str, str]:
    """By their headings; a section that has no script is none of them."""
    sections = PAGE.read_text().split("\n### ")[1:]
    found = ((one.partition("\n")[0], _CODE.search(one)) for one in sections)
    return {heading: code[1] for heading, code in found if code}


SCRIPTS = scripts()


class Api(NamedTuple):
    """How the client of an API is told where its model is."""

    variable: str
    path: str = ""
    strict: bool = False


APIS = {
    "OpenAI: chat completions": Api("OPENAI_BASE_URL", "/v1", strict=True),
    "OpenAI: responses": Api("OPENAI_BASE_URL", "/v1", strict=True),
    "Anthropic": Api("ANTHROPIC_BASE_URL"),
    "Google Gemini": Api("GOOGLE_GEMINI_BASE_URL"),
    "Ollama": Api("OLLAMA_HOST"),
}

KEYS = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), "x")
BETA = {"GOOGLE_GENAI_API_VERSION": "v1beta"}
"""aimock knows Gemini by this path alone."""

MAIL = {"to": "bob", "text": "the build is green"}
NULLS = dict.fromkeys(("reply_to", "thread", "attach", "future", "ttl_s", "id"))
"""A model that follows a strict schema gives every argument, null for none."""


def test_every_script_of_the_page_is_run_here() -> None:
    assert SCRIPTS.keys() == APIS.keys()


@pytest.mark.parametrize("name", APIS)
def test_a_model_sends_mail_by_the_script_of(
    name: str, model: Model, bob: Client, tmp_path: Path
) -> None:
    api = APIS[name]
    arguments = {**MAIL, **NULLS} if api.strict else MAIL
    at = model(Call("send", arguments), Say("Bob knows."))
    address = {api.variable: at.url + api.path}
    assert run_script(SCRIPTS[name], address, tmp_path) == "Bob knows.\n"
    (message,) = bob.receive(timeout=10.0)
    assert (message.sender, message.body) == ("alice", MAIL["text"])
    asked, told = at.requests
    assert_all_tools_are_in(asked)
    assert message.id in told.text
    message.ack()


def test_a_model_is_told_what_it_did_wrong(model: Model, tmp_path: Path) -> None:
    at = model(Call("send", {"to": "bbo", "txt": "hello"}), Say("I see."))
    run_script(SCRIPTS["Ollama"], {"OLLAMA_HOST": at.url}, tmp_path)
    _, told = at.requests
    assert "did you mean text?" in told.text


def run_script(code: str, address: dict[str, str], folder: Path) -> str:
    """What a script prints; it must end well and complain of nothing of ours."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_KEY", "_URL"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **KEYS, **BETA, **address, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=RUN_S,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_all_tools_are_in(request: Request) -> None:
    """The model saw each of them, by name and by description."""
    words = request.text.split("\n")
    for tool in TOOLS:
        assert tool.name in words
        assert tool.description in words
    assert json.dumps(request.body).count('"network"') >= len(TOOLS)
