"""Targets: what models, people and their programs say to the doors."""

from __future__ import annotations

import json
from typing import Final

from ipcbus.doors.cli import call
from ipcbus.doors.language import Intent, Unsure, parse, plainly
from ipcbus.doors.notice import given
from ipcbus.doors.tools.arguments import checked
from ipcbus.doors.tools.registry import BY_NAME
from ipcbus.errors import UsageError
from tests.doors.injections import INJECTIONS
from tests.doors.language.corpus import SURE, UNSURE
from tests.fuzz.target import Target, documents, text

EACH: Final = 8
"""Of the sentences of the corpus, every how many is a seed."""


def _hook_input(data: bytes) -> None:
    found = given.understood(data)
    if found is not None:
        repr(found)


def _sentence(data: bytes) -> None:
    sentence = text(data)
    found = parse(sentence)
    if isinstance(found, Intent):
        plainly(found)
        said = found.fields.get("text", "")
        assert not isinstance(said, str) or said in _unsnaked(sentence)
    else:
        assert isinstance(found, Unsure)
        assert found.says


def _unsnaked(sentence: str) -> str:
    """Words joined by `_` are read with spaces."""
    return sentence + "\n" + sentence.replace("_", " ")


def _tool_call(data: bytes) -> None:
    """A line of `ipcbus call`, up to where its tool would be carried out."""
    name, arguments = call._asked(call._read("the line is", text(data)))
    tool = BY_NAME.get(name)
    if tool is not None:
        json.dumps(checked(tool, arguments))


def _sentences() -> list[bytes]:
    said = [sentence for sentence, _ in (*SURE[::EACH], *UNSURE[::EACH])]
    return [sentence.encode() for sentence in (*said, *INJECTIONS)]


TARGETS: Final = (
    Target(
        "hook-input",
        _hook_input,
        (),
        documents(
            {"session_id": "s1", "source": "startup", "cwd": "/x"},
            {"session_id": "s1", "agent_id": "a", "stop_hook_active": True},
        ),
    ),
    Target("language", _sentence, (), _sentences),
    Target(
        "tool-calls",
        _tool_call,
        (UsageError,),
        documents(
            {"name": "send", "arguments": {"to": "bob", "text": "x", "ttl_s": 5}},
            {"name": "inbox", "arguments": '{"limit": 3, "nack": ["a"]}', "id": 1},
            {"name": "wait", "arguments": {"timeout_s": 2.0, "limit": None}},
        ),
    ),
)
