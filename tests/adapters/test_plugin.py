"""docs/adapter-template, installed and used as the package of somebody else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pytest

import ipcbus
from ipcbus.networks import BrokerInfo

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "docs" / "adapter-template"
RUN_S = 60.0

Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that sees all of ours, with the template installed."""
    for part in ("pip", "hatchling"):
        if find_spec(part) is None:
            _lack(part)
    try:
        version("ipcbus")
    except PackageNotFoundError:
        _lack("ipcbus, installed")
    folder = tmp_path_factory.mktemp("third-party")
    source = shutil.copytree(TEMPLATE, folder / "source")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    seen = run(python, "-c", "import site; print(site.getsitepackages()[0])").stdout
    ours = sysconfig.get_path("purelib")
    line = f"import site; site.addsitedir({ours!r})\n"
    (Path(seen.strip()) / "ours.pth").write_text(line)
    install = (*("-m", "pip", "install", "--no-index", "--no-build-isolation"), ".")
    installed = run(python, *install, "--disable-pip-version-check", cwd=source)
    assert installed.returncode == 0, installed
    return python


def _lack(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


def run(python: Path, *words: str, cwd: Path | None = None) -> Ran:
    return subprocess.run(
        [python, *words],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
        cwd=cwd or python.parent,
    )


@pytest.fixture
def command(python: Path, home: Path) -> Callable[..., Ran]:
    return lambda *words: run(python, "-m", "ipcbus", *words)


def test_its_own_tests_pass(python: Path) -> None:
    source = python.parents[2] / "source"

    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=source)

    assert done.returncode == 0, done.stdout


def test_it_is_listed_with_its_package(command: Callable[..., Ran]) -> None:
    done = command("adapters", "list", "--json")

    assert done.stderr == ""
    assert json.loads(done.stdout)["adapters"][-1] == {
        "name": "shout",
        "where": "ipcbus_shout:Shout",
        "package": "ipcbus-shout",
        "version": "1.0",
        "needs": "",
    }


def test_it_is_not_there_without_the_package(python: Path) -> None:
    done = run(Path(sys.executable), "-m", "ipcbus", "adapters", "list")

    assert "shout" not in done.stdout


def test_it_is_checked(command: Callable[..., Ran]) -> None:
    done = command("adapters", "check", "shout", "--option", "mark=?", "--json")

    assert json.loads(done.stdout) == {
        "adapter": "shout",
        "ready": True,
        "findings": [{"status": "ok", "text": "it shouts with ?"}],
    }
    refused = command("adapters", "check", "shout", "--model", "gpt")
    assert refused.returncode == 2
    assert "shout has one option: mark" in refused.stderr


def test_it_answers_mail(python: Path, broker: BrokerInfo) -> None:
    words = ("-m", "ipcbus", "agent", "--adapter", "shout", "--as", "loud")
    with ipcbus.connect("dev", agent="loud"):
        pass  # so that mail can be sent to it before it is there
    agent = subprocess.Popen([python, *words], cwd=python.parent)
    try:
        with ipcbus.connect("dev", agent="alice") as alice:
            answer = alice.ask("loud", "hello\nthere", timeout=RUN_S)
        assert answer.body == "HELLO\nTHERE!"
        agent.send_signal(signal.SIGINT)
        assert agent.wait(RUN_S) == 0
    finally:
        agent.kill()
        agent.wait()
