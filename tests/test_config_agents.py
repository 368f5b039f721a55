"""Agents in configuration files: what is taken, and how what is not is explained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ipcbus.adapters import serving
from ipcbus.adapters.base import Limits, Options
from ipcbus.adapters.budget import Bounds
from ipcbus.adapters.serving import Wanted
from ipcbus.config import AgentConfig, Config, SharedLimits, agents, dump, load, schema
from ipcbus.config.agents import AgentLimits
from ipcbus.doors.cli.agent_file import wanted_from
from ipcbus.errors import ConfigError, UsageError
from tests.test_docs_facts import page, rows, section

NETWORKS = "networks: {dev: , prod: }\n"
TEXT = f"""{NETWORKS}
agents:
  planner:
    network: dev
    adapter: anthropic
    model: claude
    base_url: http://localhost:1
    options: {{temperature: 0.2, "env.A": "x y", deep: true}}
    persona: |
      You plan.
      Be short.
    human: me@prod
    tools: []
    topics: [builds.*, "#plans"]
    max_tokens: 10
    timeout_s: 2.5
    window: 1000
    conversations: 1
    limits:
      turns_per_thread: 7
      money_per_day: 1.25
  planner@prod:
    adapter: command
    command: [claude, -p, "{{prompt}}"]
    persona_file: persona.md
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the configuration will be; a persona is there."""
    (tmp_path / "persona.md").write_text("You review.\n")
    return tmp_path / "bus.yaml"


def loaded(file: Path, text: str) -> Config:
    file.write_text(text)
    return load(file)


def test_agents_are_read_with_all_that_is_said_of_them(file: Path) -> None:
    assert loaded(file, TEXT).agents == {
        "planner": AgentConfig(
            "planner",
            "dev",
            "anthropic",
            model="claude",
            base_url="http://localhost:1",
            options={"temperature": "0.2", "env.A": "x y", "deep": "true"},
            persona="You plan.\nBe short.\n",
            human="me@prod",
            tools=(),
            topics=("builds.*", "plans"),
            limits=AgentLimits(turns_per_thread=7, money_per_day=1.25),
            max_tokens=10,
            timeout_s=2.5,
            window=1000,
            conversations=1,
        ),
        "planner@prod": AgentConfig(
            "planner",
            "prod",
            "command",
            command=("claude", "-p", "{prompt}"),
            persona_file=file.parent / "persona.md",
        ),
    }


@pytest.mark.parametrize("empty", ["", "agents:\n", "agents: {}\n"])
def test_there_need_be_none(file: Path, empty: str) -> None:
    assert loaded(file, NETWORKS + empty).agents == {}


def test_a_file_may_be_for_agents_alone(file: Path) -> None:
    config = loaded(file, "agents: {bob@far: {adapter: echo}}")
    assert (config.networks, config.bridges) == ({}, {})
    assert config.agents["bob@far"].network == "far"


def test_the_only_network_of_a_file_need_not_be_said(file: Path) -> None:
    config = loaded(file, "networks: {dev: }\nagents: {bob: {adapter: echo}}")
    assert config.agents["bob"].address == "bob@dev"


def test_each_knows_the_file_that_it_stands_in(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(TEXT)
    monkeypatch.chdir(file.parent)
    assert load(file.name).agents["planner"].file == file


def test_what_all_agents_of_a_network_may_spend(file: Path) -> None:
    text = "networks: {dev: {agent_limits: {tokens_per_day: 5, money_per_day: 0.5}}}"
    assert loaded(file, text).networks["dev"].agent_limits == SharedLimits(5, 0.5)


def test_what_is_shown_is_read_back_wherever_it_is_kept(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (file.parent / "prices.yaml").write_text("prices: {x: {input: 1, output: 1}}")
    config = loaded(file, f"{TEXT}prices: prices.yaml\n")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "again.yaml"
    assert loaded(elsewhere, dump(config)) == config


# --- what is wrong -------------------------------------------------------------------


def agent(text: str) -> str:
    """A file in which line 5 begins what is written of bob, beside his adapter."""
    return f"{NETWORKS}agents:\n bob@dev:\n  adapter: echo\n  {text}"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (f"{NETWORKS}agents: [x]", 2, "agents.*keys with values"),
        (f"{NETWORKS}agents:\n bob@dev:", 3, "adapter is missing; it must be.*list"),
        (f"{NETWORKS}agents:\n bob: {{adapter: echo}}", 3, "say which: dev or prod"),
        ("agents:\n bob: {adapter: echo}", 2, "network is missing; say which$"),
        (f"{NETWORKS}agents:\n 'b b@dev': {{adapter: echo}}", 3, "letters, digits"),
        (f"{NETWORKS}agents:\n b@d d: {{adapter: echo}}", 3, "letters, digits"),
        (f"{NETWORKS}agents:\n b: {{adapter: echo, network: a b}}", 3, "letters, dig"),
        (agent("network: prod"), 4, "bob@dev.*is it of network dev or of prod"),
        (agent("network:"), 5, "bob@dev.network.*the name of a network"),
        (agent("adaptor: x"), 5, "bob@dev.adaptor.*did you mean adapter"),
        (agent("zzz: 1"), 5, "there are: network, adapter, .*, options, limits"),
        (agent("model: [x]"), 5, "bob@dev.model.*the name of a model"),
        (agent("command: claude -p"), 5, "bob@dev.command.*must be a list.*a word"),
        (agent("command: [a, [b]]"), 5, "each must be a word of a command line"),
        (agent("tools: [send,\n   inbox]"), 6, "'inbox' is not send or ask or agents"),
        (agent("tools: none"), 5, "bob@dev.tools.*must be a list"),
        (agent("topics:\n   - #builds"), 6, "a topic or a pattern.*without #"),
        (agent("topics: [a b]"), 5, "'a b' is not a topic or a pattern"),
        (agent("human: '#builds'"), 5, "bob@dev.human.*not the name of an agent"),
        (agent("human: a b"), 5, "the name of an agent"),
        (agent("options: [x]"), 5, "bob@dev.options.*keys with values"),
        (agent("options: {a: [x]}"), 5, "bob@dev.options.a.*a text or a number"),
        (agent("options: {a: }"), 5, "bob@dev.options.a.*a text or a number"),
        (agent("max_tokens: 0"), 5, "bob@dev.max_tokens.*from 1 to 10000000"),
        (agent("timeout_s: 5m"), 5, "bob@dev.timeout_s.*a number from 1 to 86400"),
        (agent("window: 1"), 5, "bob@dev.window.*from 100"),
        (agent("conversations: 65"), 5, "bob@dev.conversations.*from 1 to 64"),
        (agent("limits: {turns: 1}"), 5, "limits.turns.*did you mean turn_s"),
        (agent("limits: {tool_calls: -1}"), 5, "limits.tool_calls.*from 0 to 1000"),
        (agent("limits: {money_per_day: 1e3}"), 5, "money_per_day.*such as 2.5"),
        (agent("limits: {money_per_day: '1'}"), 5, "money_per_day.*such as 2.5"),
        (agent("persona_file: no.md"), 5, "persona_file.*there is no file /.*no.md"),
        (agent("persona: persona.md"), 5, "persona .*call it persona_file"),
        (agent("persona: x\n  persona_file: persona.md"), 5, "which of them is it"),
        (f"{agent('model: x')}\n Bob:\n  network: DEV\n  adapter: x", 7, "as bob@dev"),
        ("networks: {dev: {agent_limits: {turn_s: 1}}}", 1, "dev.agent_limits.turn_s"),
        ("networks: {dev: }\nprices: no.yaml", 2, "prices.*there is no file"),
        ("networks: {dev: }\nprices: {x: 1}", 2, "prices.*the path of a file"),
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


def test_a_persona_may_be_as_long_as_it_likes(file: Path) -> None:
    words = "plan " * 1000
    assert loaded(file, agent(f"persona: {words}")).agents["bob@dev"].persona


# --- an agent of the file -------------------------------------------------------------


def test_what_is_not_said_is_what_ipcbus_agent_does_without_options(file: Path) -> None:
    file.write_text("networks: {dev: }\nagents: {bob: {adapter: echo}}")
    assert wanted_from(file, "bob", None) == Wanted("bob", "dev", "echo")


def test_it_is_made_of_all_that_the_file_says(file: Path) -> None:
    prices = file.parent / "prices.yaml"
    prices.write_text("prices: {x-*: {input: 1, output: 2.5}}")
    shared = TEXT.replace("dev: ,", "dev: {agent_limits: {tokens_per_day: 9}},")
    file.write_text(f"{shared}prices: prices.yaml\n")

    wanted = wanted_from(file, "Planner", "DEV")
    extra = {"temperature": "0.2", "env.A": "x y", "deep": "true"}
    assert wanted.options == Options("claude", "http://localhost:1", (), extra)
    assert wanted.bounds == Bounds(turns_per_thread=7, money_per_day=1.25)
    assert (wanted.together.tokens_per_day, wanted.together.tool_calls) == (9, 0)
    assert wanted.prices == {"x-*": (1, 2.5)}
    assert wanted.limits == Limits(10, 2.5)
    assert wanted_from(file, "planner", "prod").persona == "You review.\n"


@pytest.mark.parametrize(
    ("name", "network", "says"),
    [
        (None, None, "which agent .* Say --as NAME: planner@dev, planner@prod"),
        ("bob", None, "no agent bob, only: planner@dev, planner@prod"),
        ("planner", "far", "no agent planner@far"),
        ("planner", None, "Say --network: dev or prod"),
    ],
)
def test_one_that_is_not_there_is_told_with_those_that_are(
    file: Path, name: str | None, network: str | None, says: str
) -> None:
    file.write_text(TEXT)
    with pytest.raises(UsageError, match=says):
        wanted_from(file, name, network)


def test_keys_limits_and_tools_are_those_of_an_agent() -> None:
    assert serving.OFFERED == agents.TOOLS
    assert serving.USUAL == agents.USUAL
    assert AgentLimits()._asdict() == Bounds()._asdict()
    assert tuple(agents.LIMITS) == Bounds._fields


# --- what is told of it --------------------------------------------------------------


def test_the_schema_has_every_key_and_no_other() -> None:
    part = schema()["properties"]["agents"]["additionalProperties"]
    assert set(part["properties"]) == set(agents.KEYS)
    assert set(part["properties"]["limits"]["properties"]) == set(agents.LIMITS)
    assert part["additionalProperties"] is False
    assert part["required"] == ["adapter"]
    network = schema()["properties"]["networks"]["additionalProperties"]
    shared = network["properties"]["agent_limits"]["properties"]
    assert set(shared) == set(SharedLimits._fields)


@pytest.mark.parametrize(
    ("key", "fits"),
    [("bob", True), ("bob@dev", True), ("b b", False), ("bob@", False), ("@", False)],
)
def test_the_schema_takes_the_names_that_the_reader_takes(
    file: Path, key: str, fits: bool
) -> None:
    pattern = schema()["properties"]["agents"]["propertyNames"]["pattern"]
    assert (re.search(pattern, key) is not None) is fits
    text = f"networks: {{dev: }}\nagents: {{'{key}': {{adapter: echo}}}}"
    try:
        loaded(file, text)
    except ConfigError:
        assert not fits
    else:
        assert fits


def test_every_key_is_in_the_docs_with_its_default() -> None:
    told = {
        key: rest[-1]
        for key, *rest in rows(section(page("configuration.md"), "An agent"))
        if key in agents.KEYS
    }
    assert list(told) == list(agents.KEYS)
    usual: dict[str, Any] = agents.described(AgentConfig("bob", "dev", "echo"))
    for key in ("max_tokens", "timeout_s", "window", "conversations"):
        assert told[key] == f"{usual[key]:g}"


def test_every_limit_is_in_the_docs_with_its_default() -> None:
    told = {
        name: usual
        for name, usual, _ in rows(section(page("adapters.md"), "Limits"))
        if name in Bounds._fields
    }
    assert told == {key: f"{value:.0f}" for key, value in Bounds()._asdict().items()}


def test_the_example_of_the_docs_is_read(file: Path) -> None:
    text = section(page("adapters.md"), "Agents from a file")
    [block] = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(loaded(file, block).agents) == 3
