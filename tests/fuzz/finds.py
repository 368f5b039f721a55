"""Inputs that are kept: those that do something new, and those that are finds.

    FOLDER/TARGET/          inputs to begin with the next time
    FOLDER/TARGET.finds/    each input that broke something, once for each place

Small inputs that broke something once stand in `corpus/TARGET/` beside this file, and
are tried by every run of the tests.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import ITIMER_VIRTUAL, SIGVTALRM, setitimer, signal
from types import FrameType
from typing import Final

from tests.fuzz.target import Target

KEPT: Final = Path(__file__).with_name("corpus")
MOST_S: Final = 10.0
"""For one input, of this process: others may keep the machine busy. All inputs are
small; the slowest parsers need some milliseconds."""

SHOWN: Final = 400

_PACKAGES: Final = {"ipcbus", "ipcbus_bridges"}


class Slow(Exception):
    """A parser that did not end in time."""


class Finds:
    """The finds of one target in this run."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.inputs = folder / target.name
        self.folder = folder / f"{target.name}.finds"
        self.inputs.mkdir(parents=True, exist_ok=True)
        self._places: set[str] = set()

    def attempt(self, data: bytes) -> str:
        """What became of `data`; a find is saved and told, once for each place."""
        try:
            return self.target.run(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a find
            place = where(error)
            if place not in self._places:
                self._places.add(place)
                print(told(self.target.name, self._save(data), data, error), flush=True)
            return place

    def keep(self, data: bytes) -> None:
        (self.inputs / _name(data)).write_bytes(data)

    def _save(self, data: bytes) -> Path:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / _name(data)
        path.write_bytes(data)
        return path


def told(name: str, path: Path, data: bytes, error: BaseException) -> str:
    """A find in words: what, with which input, and how to see it again."""
    shown = repr(data) if len(data) <= SHOWN else f"{data[:SHOWN]!r} ..."
    said = "".join(traceback.format_exception_only(error)).strip()[:SHOWN]
    return (
        f"FIND in {name}: {said}\n  {where(error)}\n  input: {shown}\n"
        f"  again: python -m tests.fuzz --only {name} --input {path}"
    )


def where(error: BaseException) -> str:
    """The kind of an error and the line it comes from: the same for the same bug."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if _PACKAGES & set(Path(f.filename).parts)] or frames
    last = ours[-1] if ours else None
    line = f"{Path(last.filename).name}:{last.lineno}" if last else "nowhere"
    return f"{type(error).__name__} at {line}"


def kept(name: str) -> list[bytes]:
    """The inputs in git."""
    return _all(KEPT / name)


def earlier(folder: Path, name: str) -> list[bytes]:
    """The inputs that earlier runs kept."""
    return _all(folder / name)


@contextmanager
def in_time() -> Iterator[None]:
    """Raises `Slow` in a block that takes too long. In the main thread only."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Slow(f"no end after {MOST_S:.0f} s")

    before = signal(SIGVTALRM, late)
    setitimer(ITIMER_VIRTUAL, MOST_S)
    try:
        yield
    finally:
        setitimer(ITIMER_VIRTUAL, 0)
        signal(SIGVTALRM, before)


def _all(folder: Path) -> list[bytes]:
    if not folder.is_dir():
        return []
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()]


def _name(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
