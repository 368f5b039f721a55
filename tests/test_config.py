"""Configuration files: what is taken, and how what is not is explained."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbus.broker.settings import DAY, Settings
from ipcbus.config import (
    Config,
    NetworkConfig,
    document,
    dump,
    load,
    overrides,
    schema,
    settings_from,
    to_dict,
)
from ipcbus.config.settings import FIELDS, KINDS
from ipcbus.errors import ConfigError
from ipcbus.protocol.limits import MIB


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bus.yaml"


def refused(file: Path, text: str | bytes) -> ConfigError:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ")
    return caught.value


def loaded(file: Path, text: str) -> Config:
    file.write_text(text)
    return load(file)


FULL = """
networks:
  dev:
    host: localhost
    port: 9876
    plain: true
    store: memory
    settings:
      max_attempts: 3
      history: 2d
      rename: 0
      store_bytes: 512MiB
      rate: 10
  no:
  "22:22x": null
"""


def test_a_file_is_read_into_values_of_the_right_kinds(file: Path) -> None:
    config = loaded(file, FULL.replace('"22:22x"', "prod"))
    assert config.networks["dev"] == NetworkConfig(
        "dev",
        host="127.0.0.1",
        port=9876,
        plain=True,
        store="memory",
        settings=Settings(
            max_attempts=3,
            history_ms=2 * DAY,
            rename_ms=0,
            store_bytes=512 * MIB,
            rate=10,
        ),
    )
    assert config.networks["no"] == NetworkConfig("no"), "no is a name, not false"
    assert list(config.networks) == ["dev", "no", "prod"]


def test_all_of_it_is_frozen(file: Path) -> None:
    config = loaded(file, "networks: {dev: }")
    dev = config.networks["dev"]
    things: list[Any] = [config, dev, dev.settings]
    for thing in things:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, dataclasses.fields(thing)[0].name, "other")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("networks:\n dev:\n  port: 70000", 3, "networks.dev.port.*0 to 65535"),
        ("networks:\n dev:\n  port: '80'", 3, "a whole number"),
        ("networks:\n dev:\n  port: 0123", 3, "a whole number"),
        ("networks:\n dev:\n  port: 22:22", 3, "a whole number"),
        ("networks:\n dev:\n  port: -1", 3, "0 to 65535"),
        ("networks:\n dev:\n  port:", 3, "must be a whole number"),
        ("networks:\n dev:\n  port: [1]", 3, "must be a whole number"),
        ("networks:\n dev:\n  prot: 1", 3, "networks.dev.prot.*did you mean port"),
        ("networks:\n dev:\n  zzz: 1", 3, "are: host, port, plain, store, settings"),
        ("networks:\n dev:\n  store: disk", 3, "'disk' is not durable or memory"),
        ("networks:\n dev:\n  store: [memory]", 3, "must be durable or memory"),
        ("networks:\n dev:\n  plain: yes", 3, "true or false"),
        ("networks:\n dev:\n  host: example.org", 3, "IPv4 address"),
        ("networks:\n dev:\n  host: 127.0.0.256", 3, "IPv4 address"),
        ("networks:\n dev: 9876", 2, "networks.dev.*keys with values"),
        ("networks:\n dev:\n  settings:\n   history: 7", 4, "90s, 2h or 7d"),
        ("networks:\n dev:\n  settings:\n   history: -1d", 4, "a duration"),
        ("networks:\n dev:\n  settings:\n   histroy: 7d", 4, "did you mean history"),
        ("networks:\n dev:\n  settings:\n   history_ms: 7", 4, "mean history"),
        ("networks:\n dev:\n  settings:\n   rate: fast", 4, "0 to 1000000"),
        ("networks:\n dev:\n  settings:\n   max_attempts: 0", 4, "1 to 100"),
        ("networks:\n dev:\n  settings:\n   max_body: 2MiB", 4, "1KiB to 1MiB"),
        ("networks:\n dev:\n  settings:\n   store_bytes: 1MiB", 4, "0 or a size"),
        ("networks:\n dev:\n  settings:\n   store_bytes: 64MB", 4, "KiB"),
        ("networks:\n dev:\n  settings:\n   future: 0", 4, "from 1s to 365d"),
        ("networks:\n dev:\n  settings: [rate]", 3, "keys with values"),
        ("networks:\n 'a b':\n  port: 1", 3, "letters, digits"),
        ("networks:\n <<: {port: 1}", 2, "letters, digits"),
        ("networks: {dev: , DEV: }", 1, "the same name as dev"),
        ("networks:\n a: {port: 7}\n b: {port: 7}", 3, "that of a already"),
        ("networks:\nx: 1", 2, "there is no such key"),
        ("bridges:\n - a\nnetworks: {dev: }", 2, "bridges.*keys with values"),
        ("networks: {dev: }\nagents:\n  bob: {}", 3, "agents.bob.*adapter is missing"),
        ("networks: {}", 1, "name at least one"),
        ("networks:", 1, "name at least one"),
        ("", 1, "name at least one"),
        ("- networks", 1, "keys with values"),
        ("hello", 1, "keys with values"),
        ("networks: {dev: }\nnetworks: {prod: }", 2, "there twice.*line 1"),
        ("networks:\n dev:\n  port: 1\n  port: 2", 4, "'port' is there twice"),
        ("networks:\n dev: &a {port: 1}\n prod: *a", 3, "aliases"),
        ("networks:\n dev: !!python/object:os.system {}", 2, "tag"),
        ("networks:\n dev: !secret {}", 2, "tag"),
        ("networks:\n ? [a]\n : {}", 2, "must be a name"),
        ("networks: {dev: }\n---\nnetworks: {}", 2, "not YAML"),
        ("networks:\n\tdev:", 2, "not YAML"),
        ("networks: [", 1, "not YAML"),
        ("a: " + "[" * 60_000, 1, "nested deeper"),
        ("networks: {dev: {settings: {a: {b: {c: {d: {e: 1}}}}}}}", 1, "nested deeper"),
    ],
)
def test_an_error_names_place_and_line_and_what_is_allowed(
    file: Path, text: str, line: int, says: str
) -> None:
    error = refused(file, text)
    assert re.search(says, str(error), re.DOTALL), str(error)
    assert error.line == line
    assert f"line {line}" in str(error)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"networks: \x00", b"#" * (64 * 1024 + 1)]
)
def test_what_is_no_text_of_ours_is_refused_whole(file: Path, content: bytes) -> None:
    assert "the file" in str(refused(file, content))


def test_a_bomb_of_aliases_is_refused(file: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{b}: &{b} [*{a}, *{a}, *{a}]" for a, b in zip("abc", "bcd", strict=True)
    ]
    assert "aliases" in str(refused(file, "\n".join(lines)))


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "missing.yaml")


@pytest.mark.security
@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7"])
def test_a_plain_network_beyond_this_machine_is_refused(file: Path, host: str) -> None:
    error = refused(file, f"networks:\n dev:\n  host: {host}\n  plain: true")
    assert "networks.dev.plain (line 4)" in str(error)
    assert host in str(error)


def test_sections_may_be_there_and_empty(file: Path) -> None:
    config = loaded(file, "networks: {dev: }\nagents:\n")
    assert list(config.networks) == ["dev"]


def test_settings_that_do_not_fit_together_are_refused(file: Path) -> None:
    text = "networks:\n dev:\n  settings:\n   mailbox_bytes: 64KiB"
    assert "less than max_body" in str(refused(file, text))


def test_what_is_shown_is_the_whole_configuration_and_is_read_back(file: Path) -> None:
    config = loaded(file, FULL.replace('"22:22x"', "prod"))
    shown = to_dict(config)["networks"]["dev"]
    assert shown["settings"]["history"] == "2d"
    assert shown["settings"]["future"] == "7d"
    assert shown["settings"]["rename"] == 0
    assert set(shown["settings"]) == set(KINDS)
    assert loaded(file, dump(config)) == config


# --- network.json ------------------------------------------------------------


def test_what_a_file_sets_survives_network_json() -> None:
    settings = Settings(history_ms=0, rate=7, store_bytes=64 * MIB)
    saved = overrides(settings)
    assert saved == {"history_ms": 0, "rate": 7, "store_bytes": 64 * MIB}
    assert settings_from(saved) == settings
    assert settings_from({}) == Settings()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"history": 1}, "did you mean history_ms"),
        ({"zzz": 1}, "there is no such setting"),
        ({"rate": "7"}, "no number"),
        ({"rate": True}, "no number"),
        ({"rate": 1.5}, "no number"),
        ({"rate": -1}, "from 0"),
        ({"history_ms": -1}, "a duration"),
        ({"history_ms": 10**18}, "a duration"),
        ({"max_body": 1}, "1KiB to 1MiB"),
        ({"mailbox_bytes": 65536}, "less than max_body"),
    ],
)
def test_a_network_json_edited_by_hand_is_checked(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        settings_from(values)
    assert caught.value.file == "network.json"


def test_every_setting_can_be_configured_and_its_default_is_allowed() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert set(FIELDS.values()) == fields
    assert settings_from(dataclasses.asdict(Settings())) == Settings()
    for key, kind in KINDS.items():
        shown = kind.show(getattr(Settings(), FIELDS[key]))
        assert kind.parse(str(shown), False) == getattr(Settings(), FIELDS[key])


def test_a_takeover_does_not_import_yaml() -> None:
    program = "import sys, ipcbus.config; print('yaml' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "False"


# --- the schema --------------------------------------------------------------


def test_the_schema_has_every_key_and_no_other() -> None:
    top = schema()
    assert set(top["properties"]) == {"networks", "bridges", "agents", "prices"}
    network = top["properties"]["networks"]["additionalProperties"]
    keys = {"host", "port", "plain", "store", "settings", "agent_limits"}
    assert set(network["properties"]) == keys
    assert set(network["properties"]["settings"]["properties"]) == set(KINDS)
    for part in (top, network, network["properties"]["settings"]):
        assert part["additionalProperties"] is False


@given(st.sampled_from(sorted(KINDS)), st.text("0123456789dhmsKMGiB -", max_size=8))
def test_what_the_reader_takes_the_schema_takes(key: str, text: str) -> None:
    kind = KINDS[key]
    try:
        value = kind.parse(text, False)
    except ValueError:
        return
    assert _fits(kind.schema(), kind.show(value))
    assert _fits(kind.schema(), text) or _fits(kind.schema(), int(text))


def _fits(part: dict[str, Any], value: Any) -> bool:
    """As much of JSON Schema as ours uses."""
    if "anyOf" in part:
        return any(_fits(choice, value) for choice in part["anyOf"])
    if "const" in part:
        return bool(part["const"] == value)
    if part["type"] == "integer":
        low, high = part["minimum"], part["maximum"]
        return isinstance(value, int) and low <= value <= high
    return isinstance(value, str) and bool(re.search(part["pattern"], value))


# --- whatever is handed in -----------------------------------------------------


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_read_or_refused_by_an_error_of_ours(data: bytes) -> None:
    with suppress(ConfigError):
        document.parse(data, "fuzz.yaml")


@given(
    st.lists(
        st.sampled_from(
            [
                "networks",
                "dev",
                ":",
                "\n ",
                " ",
                "[",
                "}",
                "{",
                "]",
                "-",
                "&a",
                "*a",
                "!x",
                "'",
                '"',
                "|",
                "port",
                "7d",
                ",",
                "?",
                "<<",
                "settings",
            ]
        )
    )
)
def test_any_soup_of_yaml_is_read_or_refused_by_an_error_of_ours(
    words: list[str],
) -> None:
    with suppress(ConfigError):
        document.parse("".join(words).encode(), "fuzz.yaml")
