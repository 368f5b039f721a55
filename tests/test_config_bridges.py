"""Bridges in configuration files: what is taken, and how what is not is explained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ipcbus.config import BridgeConfig, Config, bridges, dump, load, schema, to_dict
from ipcbus.errors import ConfigError

DOCS = Path(__file__).parents[1] / "docs"

NETWORKS = "networks: {dev: , prod: }\n"
TEXT = f"""{NETWORKS}
bridges:
  dev-prod:
    between: [dev, prod]
    rules: rules/dev-prod.yaml
  home:
    between: [Dev, far.away]
    one_way: true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the configuration will be; a file of rules is there."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "dev-prod.yaml").write_text("rules: []\n")
    return tmp_path / "bus.yaml"


def loaded(file: Path, text: str) -> Config:
    file.write_text(text)
    return load(file)


def test_bridges_are_read_with_their_networks(file: Path) -> None:
    rules = file.parent / "rules" / "dev-prod.yaml"
    assert loaded(file, TEXT).bridges == {
        "dev-prod": BridgeConfig("dev-prod", ("dev", "prod"), rules),
        "home": BridgeConfig("home", ("Dev", "far.away"), None, one_way=True),
    }


@pytest.mark.parametrize("empty", ["", "bridges:\n", "bridges: {}\n"])
def test_there_need_be_none(file: Path, empty: str) -> None:
    assert loaded(file, NETWORKS + empty).bridges == {}


@pytest.mark.parametrize("none", ["", "networks:\n", "networks: {}\n"])
def test_a_file_may_be_for_bridges_alone(file: Path, none: str) -> None:
    config = loaded(file, f"{none}bridges: {{b: {{between: [near, far]}}}}")
    assert config.networks == {}
    assert config.bridges["b"].between == ("near", "far")


def test_rules_are_found_from_the_file_and_not_from_where_one_stands(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(TEXT)
    monkeypatch.chdir(file.parent)
    rules = load(file.name).bridges["dev-prod"].rules
    monkeypatch.chdir("/")
    assert rules == load(file).bridges["dev-prod"].rules
    assert rules is not None
    assert rules.is_absolute()


def bridge(text: str) -> str:
    """A file in which line 4 begins what is written of bridge x."""
    return f"{NETWORKS}bridges:\n x:\n  {text}"


PAIR = r"two names of networks, as \[dev, prod\]"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (bridge("one_way: true"), 4, f"bridges.x.*between is missing.*{PAIR}"),
        (f"{NETWORKS}bridges:\n x:", 3, "between is missing"),
        (bridge("between:"), 4, f"bridges.x.between.*{PAIR}"),
        (bridge("between: dev"), 4, PAIR),
        (bridge("between: {dev: prod}"), 4, PAIR),
        (bridge("between: []"), 4, f"0 are named.*{PAIR}"),
        (bridge("between: [dev]"), 4, f"1 are named.*{PAIR}"),
        (bridge("between: [dev, prod, far]"), 4, f"3 are named.*{PAIR}"),
        (bridge("between: [dev, [prod]]"), 4, PAIR),
        (bridge("between: [dev, ]"), 4, PAIR),
        (bridge("between:\n   - dev\n   - a b"), 6, "bridges.x.between.*letters, dig"),
        (bridge("between: [dev, dev]"), 4, f"dev is there twice.*{PAIR}"),
        (bridge("between: [dev, DEV]"), 4, "dev is there twice"),
        (bridge("betwen: [dev, prod]"), 4, "bridges.x.betwen.*did you mean between"),
        (bridge("zzz: 1"), 4, "there are: between, rules, one_way"),
        (bridge("between: [a, b]\n  one_way: yes"), 5, "x.one_way.*true or false"),
        (bridge("between: [a, b]\n  one_way:"), 5, "it must be true or false"),
        (bridge("between: [a, b]\n  rules:"), 5, "x.rules.*the path of a file"),
        (bridge("between: [a, b]\n  rules: ''"), 5, "the path of a file"),
        (bridge("between: [a, b]\n  rules: [x]"), 5, "the path of a file"),
        (bridge("between: [a, b]\n  rules: no.yaml"), 5, "there is no file /.*no.yaml"),
        (bridge("between: [a, b]\n  rules: rules"), 5, "/rules is not a file"),
        (bridge('between: [a, b]\n  rules: "\\0"'), 5, "cannot be read"),
        (bridge(f"between: [a, b]\n  rules: {'x' * 999}"), 5, "cannot be read"),
        (bridge("between: [a, b]\n y: {between: [B, a]}"), 5, "bridges.y.*bridge x"),
        (bridge("between: [a, b]\n X: {between: [c, d]}"), 5, "the same name as x"),
        (f"{NETWORKS}bridges:\n Dev: {{between: [dev, prod]}}", 3, "try dev-prod"),
        (f"{NETWORKS}bridges:\n 'a b': {{between: [dev, prod]}}", 3, "letters, digits"),
        (f"{NETWORKS}bridges:\n x: [dev, prod]", 3, "bridges.x.*keys with values"),
        (f"{NETWORKS}bridges: [x]", 2, "bridges.*keys with values"),
        ("bridges: {}", 1, "name at least one, or a bridge"),
    ],
)
def test_an_error_names_place_and_line_and_what_is_allowed(
    file: Path, text: str, line: int, says: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)
    assert caught.value.line == line
    assert f"line {line}" in str(caught.value)


def test_what_is_shown_is_read_back_wherever_it_is_kept(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = loaded(file, TEXT)
    shown = to_dict(config)["bridges"]
    assert shown["home"] == {"between": ["Dev", "far.away"], "one_way": True}
    assert shown["dev-prod"]["rules"] == str(file.parent / "rules" / "dev-prod.yaml")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "again.yaml"
    assert loaded(elsewhere, dump(config)) == config


def test_the_schema_has_every_key_and_no_other() -> None:
    part = schema()["properties"]["bridges"]["additionalProperties"]
    assert set(part["properties"]) == set(bridges.KEYS)
    assert part["additionalProperties"] is False
    assert part["required"] == ["between"]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("networks: {dev: }", True),
        ("bridges: {x: {between: [dev, prod]}}", True),
        ("networks:\nbridges: {x: {between: [dev, prod]}}", True),
        ("networks: {dev: }\nbridges:", True),
        ("networks:\nbridges: {}", False),
        ("agents:", False),
    ],
)
def test_the_schema_wants_a_network_or_a_bridge_as_the_reader_does(
    file: Path, text: str, fits: bool
) -> None:
    value = yaml.safe_load(text)
    assert any(_fits(choice, value) for choice in schema()["anyOf"]) is fits
    file.write_text(text)
    try:
        load(file)
    except ConfigError:
        assert not fits
    else:
        assert fits


def _fits(choice: dict[str, Any], value: dict[str, Any]) -> bool:
    [key] = choice["required"]
    least: int = choice["properties"][key]["minProperties"]
    return isinstance(value.get(key), dict) and len(value[key]) >= least


def test_every_key_is_in_the_docs() -> None:
    text = (DOCS / "configuration.md").read_text()
    told = re.search(r"^## A bridge$\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert told is not None
    rows = re.findall(r"^\| `(\w+)` \|", told[1], re.MULTILINE)
    assert rows == list(bridges.KEYS)
