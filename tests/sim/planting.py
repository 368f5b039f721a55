"""How a bug is planted: real code of the product is replaced for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple
from unittest import mock

Instead = Callable[..., Any]
"""Takes the real function and what it was called with."""


class Patch(NamedTuple):
    """`instead(real, *args)` stands for the method `name` of `owner`."""

    owner: type
    name: str
    instead: Instead


class Bug(NamedTuple):
    """Attributes:
    promise: what it breaks.
    patches: how.
    """

    promise: str
    patches: tuple[Patch, ...]

    def planted(self) -> AbstractContextManager[None]:
        return _all_planted(self.patches)


class Bugs(dict[str, Bug]):
    """By name."""

    def plant(
        self, name: str, promise: str, *patches: tuple[type, str, Instead]
    ) -> None:
        assert name not in self
        self[name] = Bug(promise, tuple(Patch(*patch) for patch in patches))


def nothing(real: Any, *args: Any, **options: Any) -> None:
    """Not done at all."""


def no(real: Any, *args: Any, **options: Any) -> bool:
    return False


def yes(real: Any, *args: Any, **options: Any) -> bool:
    return True


@contextmanager
def _all_planted(patches: tuple[Patch, ...]) -> Iterator[None]:
    if not patches:
        yield
        return
    owner, name, instead = patches[0]
    real = getattr(owner, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        return instead(real, *args, **options)

    with mock.patch.object(owner, name, wrapped), _all_planted(patches[1:]):
        yield
