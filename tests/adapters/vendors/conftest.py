"""A model behind each platform's own SDK: aimock, or a server that answers wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.adapters.vendors.faults import Faulty, Reply
from tests.adapters.vendors.model import fixtures
from tests.adapters.vendors.platforms import KEY, PLATFORMS, VARIABLES, Platform
from tests.clis.aimock import serving
from tests.clis.packages import AIMOCK, found

Broken = Callable[..., Faulty]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for each, and none of the settings of whoever runs the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for platform in PLATFORMS:
        monkeypatch.setenv(platform.key, KEY)


@pytest.fixture(params=PLATFORMS, ids=lambda platform: platform.name)
def platform(request: pytest.FixtureRequest) -> Platform:
    chosen: Platform = request.param
    return chosen


@pytest.fixture(scope="session", autouse=True)
def _model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """One for all tests, begun before the first, which must leave no process behind."""
    if found("llmock") is None:
        yield None
        return
    with serving(fixtures(), tmp_path_factory.mktemp("model")) as url:
        yield url


@pytest.fixture
def model(_model: str | None, missing_part: Callable[[str], None]) -> str:
    """The address of a model that says what `model.fixtures` has."""
    if _model is None:
        missing_part(AIMOCK)
    assert _model is not None
    return _model


@pytest.fixture
def broken() -> Iterator[Broken]:
    """Call it with what a server answers, one after the other; the last for ever."""
    servers: list[Faulty] = []

    def start(*replies: Reply) -> Faulty:
        servers.append(Faulty(replies))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
