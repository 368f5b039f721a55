"""Examples out of the docs: code blocks, and the output that is shown below them.

    ```sh            or python
    ipcbus check
    ```
    ```text          optional: lines that must come in this order; `...` is anything
    no mail
    ```

In a shell block a comment `# exit code 3` says how its line ends; all others must
succeed. Blocks of one page are run in one shell, one after another, as a reader
would do it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]

RUN_S: Final = 60.0

_BLOCK: Final = re.compile(
    r"^```(?P<language>sh|python)\n(?P<code>.*?)^```\n(?:```text\n(?P<shown>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
_EXIT: Final = re.compile(r"^(?P<command>.*?)\s+# exit code (?P<code>\d+)")


class Example(NamedTuple):
    """A block: where it stands, what to run, and what must be printed."""

    page: str
    line: int
    language: str
    code: str
    shown: list[str]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Done(NamedTuple):
    """How it ended, and stdout and stderr as they came."""

    code: int
    out: str


def examples(page: Path, language: str) -> list[Example]:
    """The blocks of a page in one language, in order."""
    text = page.read_text()
    return [
        Example(
            page.name,
            text.count("\n", 0, found.start()) + 1,
            language,
            found["code"],
            (found["shown"] or "").splitlines(),
        )
        for found in _BLOCK.finditer(text)
        if found["language"] == language
    ]


def missing(shown: list[str], out: str) -> str | None:
    """The first line of `shown` that `out` lacks at or below its place."""
    lines = iter(out.splitlines())
    for wanted in shown:
        parts = [re.escape(part) for part in wanted.split("...")]
        # A line begins where it does, but for what stands in front of an ellipsis.
        pattern = re.compile(".*".join(parts))
        if not any(pattern.search(line) for line in lines):
            return wanted
    return None


def run_python(example: Example, home: Path) -> Done:
    """In a process of its own, which must not say anything on stderr."""
    return _run([sys.executable, "-W", "error", "-c", example.code], home)


def run_shell(blocks: list[Example], home: Path) -> Iterator[tuple[Example, Done]]:
    """All in one bash; stops at the first that fails."""
    mark = "-- example"
    script = "".join(f"echo '{mark}'\n{_script(one.code)}\n" for one in blocks)
    done = _run(["bash", "-c", f"set -eu -o pipefail\n{script}"], home)
    outputs = done.out.split(f"{mark}\n")[1:]
    for at, (example, out) in enumerate(zip(blocks, outputs, strict=False)):
        last = at == len(outputs) - 1
        yield example, Done(done.code if last else 0, out)


def _script(code: str) -> str:
    return "\n".join(map(_line, code.splitlines()))


def _line(line: str) -> str:
    """A line with `# exit code N` succeeds if it ends with N."""
    found = _EXIT.match(line)
    if found is None:
        return line
    return f"code=0; {found['command']} || code=$?; test $code = {found['code']}"


def _run(command: list[str], home: Path) -> Done:
    binaries = home / "bin"
    binaries.mkdir(exist_ok=True)
    program = binaries / "ipcbus"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m ipcbus "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        command,
        env={
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=home,
        timeout=RUN_S,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode())
