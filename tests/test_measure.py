"""The measure of rooms: what is read in one sitting, on one screen.

Nothing here is run or imported, only read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("ipcbus", "bridges/ipcbus_bridges", "tests", "benchmarks")
EVERYTHING: Final = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
)

MAY_SLEEP: Final = (Path("tests/waiting.py"), Path("tests/chaos/member.py"))
"""The second is a program, which works at a rate."""

MAX_FILE: Final = 400
MAX_FUNCTION: Final = 50


def _complaints(path: Path, source: str) -> Iterator[str]:
    lines = source.count("\n")
    if lines > MAX_FILE:
        yield f"{path}: {lines} lines; split it by concern"
    if path.stem in ("utils", "util", "helpers", "common", "misc"):
        yield f"{path}: name it after what it is about"
    tree = ast.parse(source)
    yield from _sleeps(path, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{path}:{node.lineno}: a bare except hides what went wrong"


def _sleeps(path: Path, tree: ast.Module) -> Iterator[str]:
    """No test sleeps: `waiting.until` does, between two looks at a condition."""
    if path.parts[0] != "tests" or path in MAY_SLEEP:
        return
    for node in ast.walk(tree):
        if _is_sleep(node):
            line = getattr(node, "lineno", 0)
            yield f"{path}:{line}: wait for a condition, with a bound"


def _is_sleep(node: Any) -> bool:
    """`sleep` of `time` or `asyncio`, however it is got at; but `asyncio.sleep(0)`,
    which lets a loop go on, is none."""
    match node:
        case ast.Attribute(value=ast.Name("time"), attr="sleep"):
            return True
        case ast.Call(func=ast.Attribute(ast.Name("asyncio"), "sleep"), args=args):
            return not (len(args) == 1 and ast.unparse(args[0]) == "0")
        case ast.ImportFrom(module="time" | "asyncio", names=names):
            return any(name.name == "sleep" for name in names)
    return False


def test_files_and_functions_can_be_read_in_one_sitting() -> None:
    found = [
        complaint
        for path in EVERYTHING
        for complaint in _complaints(path.relative_to(ROOT), path.read_text())
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("name", "source", "named"),
    [
        ("ipcbus/a.py", "x = 1\n" * 401, "401 lines"),
        ("ipcbus/a.py", "def f():\n" + "    x = 1\n" * 50, "f has 51 lines"),
        ("ipcbus/utils.py", "", "name it"),
        ("ipcbus/a.py", "try:\n    x\nexcept:\n    raise\n", ":3: a bare except"),
        ("tests/a.py", "import time\ntime.sleep(1)\n", ":2: wait"),
        ("tests/a.py", "from time import sleep\n", ":1: wait"),
        ("tests/a.py", "def until():\n    time.sleep(1)\n", ":2: wait"),
        ("tests/a.py", "async def f():\n    await asyncio.sleep(0.1)\n", ":2: wait"),
        ("tests/a.py", "from asyncio import sleep\n", ":1: wait"),
    ],
)
def test_what_is_too_long_or_badly_named_or_sleeps_is_found(
    name: str, source: str, named: str
) -> None:
    [found] = _complaints(Path(name), source)
    assert named in found


def test_to_let_a_loop_go_on_is_no_sleep_and_one_module_may() -> None:
    source = "async def f():\n    await asyncio.sleep(0)\n"
    assert list(_complaints(Path("tests/a.py"), source)) == []
    assert list(_complaints(MAY_SLEEP[0], "import time\ntime.sleep(1)\n")) == []
