"""The two ways to make inputs: guided by what code they reach, or by chance alone.

Each runs one target in a process of its own, until its time is over, and prints as its
last line how many inputs it tried.
"""

from __future__ import annotations

import random
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tests.fuzz.finds import MOST_S, Finds, earlier, in_time, kept
from tests.fuzz.mutate import MOST, PIECES, mutated

LAST: Final = "inputs: "
MOST_KEPT: Final = 2000


def chosen(engine: str) -> str:
    """`auto` is atheris where it is installed."""
    if engine != "auto":
        return engine
    return "atheris" if find_spec("atheris") else "mutate"


def run(engine: str, name: str, seconds: float, folder: Path, seed: int) -> None:
    {"atheris": _guided, "mutate": _by_chance}[engine](name, seconds, folder, seed)


def _by_chance(name: str, seconds: float, folder: Path, seed: int) -> None:
    """What became of an input tells whether it is new: then more is made of it."""
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    finds, chance = Finds(target, folder), random.Random(seed)
    pool = [*target.seeds(), *kept(name), *earlier(folder, name)]
    end, count = time.monotonic() + seconds, 0
    outcomes: set[str] = set()
    ready = iter(tuple(pool))
    while time.monotonic() < end:
        data = next(ready, None)
        is_old = data is not None
        if data is None:
            data = mutated(chance, pool)
        with in_time():
            outcome = finds.attempt(data)
        count += 1
        if outcome not in outcomes:
            outcomes.add(outcome)
            if not is_old and len(pool) < MOST_KEPT:
                pool.append(data)
                finds.keep(data)
    print(f"{LAST}{count}", flush=True)


def _guided(name: str, seconds: float, folder: Path, seed: int) -> None:
    """atheris ends the process itself. A find does not stop it: the next may be
    another one. So only a parser that hangs or takes all memory ends it early."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["ipcbus", "ipcbus_bridges"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    finds, words = Finds(target, folder), folder / f"{name}.words"
    finds.folder.mkdir(exist_ok=True)
    words.write_text("".join(f'"{_escaped(p)}"\n' for p in PIECES if 0 < len(p) < 60))
    for data in (*target.seeds(), *kept(name)):
        finds.keep(data)
    flags = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-timeout={MOST_S:.0f}",
        f"-seed={seed}",
        f"-max_len={MOST}",
        f"-dict={words}",
        f"-artifact_prefix={finds.folder}/",
    ]
    atheris.Setup([sys.argv[0], *flags, str(finds.inputs)], finds.attempt)
    atheris.Fuzz()


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)
