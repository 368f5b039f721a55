"""What a broker gets of the environment of whoever starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.networks import Network
from ipcbus.transport import launch
from ipcbus.transport.environment import environment

SECRETS = (
    *("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY"),
    *("PGPASSWORD", "DATABASE_URL", "IPCBUS_SECRET", "IPCBUS_INVITATION", "MY_THING"),
    *("XDG_TOKEN", "PYTHON_KEYRING_PASSWORD", "LC_SECRET"),
)


@pytest.mark.security
@pytest.mark.parametrize("name", SECRETS)
def test_a_broker_gets_no_secret(network: Network, name: str) -> None:
    assert "hush" not in environment(network, {name: "hush"}).values()


@pytest.mark.parametrize("name", ["PATH", "LC_ALL", "TZ", "IPCBUS_X", "LD_PRELOAD"])
def test_a_broker_gets_what_it_runs_by(network: Network, name: str) -> None:
    assert environment(network, {name: "text"})[name] == "text"


def test_a_broker_gets_the_home_of_its_network(network: Network) -> None:
    given = environment(network, {"IPCBUS_HOME": "/elsewhere"})
    assert given["IPCBUS_HOME"] == str(network.folder.parent.parent)


def test_a_checkout_that_is_not_installed_is_put_on_the_path(network: Network) -> None:
    given = environment(network, {"PYTHONPATH": "/somewhere"})
    root = str(Path(launch.__file__).parents[2])
    assert given["PYTHONPATH"] == f"{root}:/somewhere"
