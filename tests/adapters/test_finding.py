"""Adapters by name: the built-in ones without a scan, those of others with care."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from ipcbus.adapters import base, finding
from ipcbus.adapters.base import Options
from ipcbus.adapters.echo import Echo
from ipcbus.errors import AdapterFailed, AdapterMissing, UsageError
from ipcbus.version import __version__

ROOT = Path(__file__).parents[2]

GOOD = """\
class Good:
    needs = "sdk"
    def __init__(self, options): self.options = options
    async def turn(self, turn): ...
    async def check(self): return []
    async def close(self): ...
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package: `install("bad-one", "bad = bad_one:Bad", "import nothing")`.

    Its module is called as the package is."""
    monkeypatch.delenv(finding.SWITCH, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def install(
        package: str, entry: str, code: str = GOOD, version: str = "1.2"
    ) -> None:
        module = package.replace("-", "_").lower()
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[ipcbus.adapters]\n{entry}\n")

    yield install
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def found() -> tuple[dict[str, finding.Entry], list[str]]:
    """All that can be used, but for our own; and what was told."""
    told: list[str] = []
    entries = finding.entries(told.append)
    assert len({one.name for one in entries}) == len(entries)
    return {one.name: one for one in entries if one.package != "ipcbus"}, told


def nobody(line: str) -> None:
    pytest.fail(f"told: {line}")


# --- our own -------------------------------------------------------------------


@pytest.mark.parametrize("name", finding.BUILT_IN)
def test_a_built_in_one_has_the_shape_that_is_asked_of_others(name: str) -> None:
    kind = finding.find(name, nobody)

    assert list(finding.lacking(kind)) == []


def test_built_in_ones_come_by_the_same_door_as_others() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"][finding.GROUP] == finding.BUILT_IN


def test_our_own_entry_points_are_no_second_ones(install: Install) -> None:
    lines = "\n".join(f"{name} = {where}" for name, where in finding.BUILT_IN.items())
    install("ours", lines)

    assert found() == ({}, [])


def test_what_a_built_in_one_needs_is_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {finding.find(name, nobody).needs for name in finding.BUILT_IN}  # type: ignore[attr-defined]

    assert needed - {""} <= project["optional-dependencies"].keys()


def test_a_built_in_one_is_found_without_a_look_at_what_is_installed() -> None:
    """That would take 40 ms, and load code of others."""
    code = """
        import sys
        from ipcbus.adapters import finding
        finding.find("echo", print)
        print("importlib.metadata" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == "False\n"


def test_the_list_begins_with_the_built_in_ones(install: Install) -> None:
    install("good", "aaa = good:Good")

    entries = finding.entries(nobody)

    assert [one.name for one in entries][: len(finding.BUILT_IN)] == [*finding.BUILT_IN]
    assert {(one.package, one.version) for one in entries if one.name == "echo"} == {
        ("ipcbus", __version__)
    }


# --- those of others -------------------------------------------------------------


def test_one_of_another_package_is_found_and_listed(install: Install) -> None:
    install("Good-One", "good = good_one:Good", version="3.4")

    assert finding.find("good", nobody).__name__ == "Good"
    assert found() == (
        {"good": finding.Entry("good", "good_one:Good", "Good-One", "3.4", "sdk")},
        [],
    )


BROKEN = {
    "import there_is_no_such_module": "ModuleNotFoundError: No module named",
    "raise SystemExit(1)": "SystemExit: 1",
    "raise ValueError('two\\nlines \\x1b[2J')": "ValueError: two\\nlines \\x1b[2J",
    "class Other: pass": "AttributeError",
    "def Good(options): ...": "is no class",
    "class Good: needs = ''": "it has no `async def turn`, it has no `async def check`",
    GOOD.replace("async def turn", "def turn"): "it has no `async def turn`",
    GOOD.replace('needs = "sdk"', "needs = None"): "it has no text `needs`",
    GOOD.replace("self, options", "self"): "it cannot be made with Options alone",
    GOOD.replace("self, options", "self, a, b"): "it cannot be made with Options",
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_one_costs_one_line_and_nothing_else(
    code: str, install: Install
) -> None:
    install("broken-one", "broken = broken_one:Good", code, "0.9")
    install("good", "good = good:Good")

    entries, told = found()

    assert [*entries] == ["good"]
    [line] = told
    assert line.startswith("broken-one 0.9: the adapter broken is left out: ")
    assert BROKEN[code] in line
    assert line.isprintable()


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_one_that_is_asked_for_is_missing_and_says_why(
    code: str, install: Install
) -> None:
    install("broken-one", "broken = broken_one:Good", code, "0.9")

    with pytest.raises(AdapterMissing) as caught:
        finding.find("broken", nobody)

    assert str(caught.value).startswith("broken: broken-one 0.9: ")
    assert BROKEN[code] in str(caught.value)


def test_names_of_our_own_cannot_be_taken(install: Install) -> None:
    install("thief", "echo = thief:Good")

    entries, told = found()

    assert entries == {}
    assert told == ["thief 1.2: echo is left out: ipcbus has one of that name"]
    assert finding.find("echo", nobody) is Echo


def test_of_two_with_one_name_the_first_has_it_and_the_other_is_told(
    install: Install,
) -> None:
    install("zebra", "same = zebra:Good")
    install("ant", "same = ant:Good")

    entries, told = found()

    assert entries["same"].package == "ant"
    assert told == ["zebra 1.2: same is left out: ant has one of that name"]


def test_the_example_of_the_contract_is_an_adapter(install: Install) -> None:
    assert base.__doc__ is not None
    code = "".join(re.findall(r"^(?: {4}.*)?\n", base.__doc__, re.MULTILINE))
    install("my-package", "shout = my_package:Shout", dedent(code))

    async def story() -> None:
        pieces: list[str] = []
        shout = finding.make("shout", Options(extra={"mark": "?"}), nobody)
        turn = base.Turn("", (base.Said("user", "hello"),), on_text=pieces.append)
        assert (await shout.turn(turn)).text == "HELLO?"
        assert pieces == ["HELLO?"]
        assert [one.status for one in await shout.check()] == ["ok"]
        await shout.close()

    asyncio.run(story())


def test_an_unknown_name_is_answered_with_a_near_one(install: Install) -> None:
    install("good", "llamacpp = good:Good")

    for name, near in (("lamacpp", "llamacpp"), ("ecko", "echo")):
        with pytest.raises(AdapterMissing, match=f"did you mean {near}\\?"):
            finding.find(name, nobody)
    with pytest.raises(AdapterMissing, match=r"there are: .*script, llamacpp$"):
        finding.find("xyz", nobody)


# --- which packages may be asked --------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "names"),
    [
        ("", set()),
        ("good-one", {"one"}),
        ("Good.ONE, other", {"one", "two"}),
        ("nobody", set()),
        (None, {"one", "two"}),
    ],
)
def test_a_variable_says_which_packages_are_asked(
    switch: str | None,
    names: set[str],
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("good-one", "one = good_one:Good")
    install("other", "two = other:Good")
    if switch is not None:
        monkeypatch.setenv(finding.SWITCH, switch)

    entries, told = found()

    assert (set(entries), told) == (names, [])


def test_a_package_that_may_not_be_asked_is_not_even_imported(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", "good = good:Good", "raise AssertionError('imported')")
    monkeypatch.setenv(finding.SWITCH, "")

    with pytest.raises(AdapterMissing, match="no such adapter"):
        finding.find("good", nobody)
    assert found() == ({}, [])


# --- making one -------------------------------------------------------------------


def test_one_is_made_with_its_options(install: Install) -> None:
    install("good", "good = good:Good")
    options = Options("m", "http://there", ("cat",), {"a": "b"})

    assert finding.make("good", options, nobody).options == options  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("ValueError('what?')", AdapterFailed, "good: ValueError: what?"),
        ("UsageError(reason='no such option')", UsageError, "no such option"),
        ("AdapterMissing(adapter='x', reason='y')", AdapterMissing, "x: y"),
    ],
)
def test_what_goes_wrong_in_it_is_an_error_of_ours(
    error: str, kind: type[Exception], said: str, install: Install
) -> None:
    code = GOOD.replace("self.options = options", f"raise {error}")
    install("good", "good = good:Good", f"from ipcbus.errors import *\n{code}")

    with pytest.raises(kind) as caught:
        finding.make("good", Options(), nobody)

    assert type(caught.value) is kind
    assert said in str(caught.value)
