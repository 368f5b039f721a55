"""Random JSON documents with comments, in any formatting that people and programs use.

Each is drawn as text, and a plain reader (comments cut, then `json`) says what it
means: an opinion that owes nothing to the code under test.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from hypothesis import HealthCheck
from hypothesis import settings as how
from hypothesis import strategies as st

from ipcbus.doors.install.jsonc import BOM

WORDS: Final = ("a", "b", "hooks", "mcpServers", "Stop", "ipcbus", "é", "//", "/*", "")

some = how(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For each property; the documents are large, and the machine may be busy."""

_WORD: Final = st.sampled_from(WORDS)
_WHITE: Final = st.sampled_from(["", "", " ", "\n", "  \n\t", "\n    ", "\r\n  ", "\t"])
_COMMENT: Final = st.sampled_from(
    ["// note\n", "//\n", "/* c */", "/**/", "/* two\n lines, { */", '// "x": [1,\n']
)


@st.composite
def trivia(draw: st.DrawFn) -> str:
    """White space, now and then with a comment in it."""
    text = draw(_WHITE)
    if draw(st.integers(0, 5)) == 0:
        text += draw(_COMMENT) + draw(_WHITE)
    return text


@st.composite
def scalars(draw: st.DrawFn) -> str:
    value = draw(st.none() | st.booleans() | st.integers() | st.floats(0, 9) | _WORD)
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@st.composite
def objects(draw: st.DrawFn, depth: int = 3, keys: tuple[str, ...] = WORDS) -> str:
    names = draw(st.lists(st.sampled_from(keys), unique=True, max_size=4))
    entries = []
    for name in names:
        value = draw(values(depth - 1))
        gaps = [draw(trivia()) for _ in range(4)]
        entries.append(
            f"{gaps[0]}{json.dumps(name)}{gaps[1]}:{gaps[2]}{value}{gaps[3]}"
        )
    return _closed(draw, "{", entries, "}")


@st.composite
def arrays(draw: st.DrawFn, depth: int) -> str:
    entries = [
        draw(trivia()) + draw(values(depth - 1)) + draw(trivia())
        for _ in range(draw(st.integers(0, 3)))
    ]
    return _closed(draw, "[", entries, "]")


def values(depth: int) -> st.SearchStrategy[str]:
    if depth <= 0:
        return scalars()
    return st.one_of(scalars(), objects(depth), arrays(depth))


def _closed(draw: st.DrawFn, opening: str, entries: list[str], closing: str) -> str:
    last = draw(trivia())
    if draw(st.booleans()) and entries:
        last = "," + last
    return opening + ",".join(entries) + last + closing


# --- settings ----------------------------------------------------------------


@st.composite
def settings(draw: st.DrawFn) -> str:
    """Settings of a tool: our two places are absent, empty, or hold others' entries."""
    parts = {
        "model": draw(values(2)),
        "mcpServers": draw(objects(2, ("github", "files"))),
        "hooks": draw(hooks()),
    }
    names = draw(st.lists(st.sampled_from(sorted(parts)), unique=True))
    entries = [
        f'{draw(trivia())}"{name}"{draw(trivia())}:{draw(trivia())}{parts[name]}'
        for name in names
    ]
    text = draw(trivia()) + _closed(draw, "{", entries, "}") + draw(trivia())
    return (BOM if draw(st.booleans()) else "") + text


@st.composite
def hooks(draw: st.DrawFn) -> str:
    events = ["Stop", "SessionStart", "PreToolUse"]
    names = draw(st.lists(st.sampled_from(events), unique=True))
    entries = [f'{draw(trivia())}"{name}": {draw(groups())}' for name in names]
    return _closed(draw, "{", entries, "}")


@st.composite
def groups(draw: st.DrawFn) -> str:
    handler = '{"type": "command", "command": "theirs.sh"}'
    group = st.sampled_from(
        [
            f'{{"hooks": [{handler}]}}',
            f'{{ "matcher": "Bash",\n "hooks": [\n  {handler}, // x\n  {handler},\n]}}',
            '{"hooks":[]}',
        ]
    )
    entries = [draw(trivia()) + one for one in draw(st.lists(group, max_size=2))]
    return _closed(draw, "[", entries, "]")


# --- the other opinion -------------------------------------------------------

_STRING: Final = r'("(?:[^"\\]|\\.)*")'
_COMMENTS: Final = re.compile(_STRING + r"|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMAS: Final = re.compile(_STRING + r"|,(?=\s*[}\]])")


def meaning(text: str) -> Any:
    """What `text` says, by `json` alone."""
    text = text.removeprefix(BOM)
    for pattern in (_COMMENTS, _LAST_COMMAS):
        text = pattern.sub(lambda found: found[1] or " ", text)
    return json.loads(text)
