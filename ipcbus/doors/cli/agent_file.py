"""An agent as a configuration file describes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ipcbus.adapters.base import Limits, Options
from ipcbus.adapters.budget import UNBOUNDED, Bounds, Price
from ipcbus.adapters.serving import Wanted
from ipcbus.config import AgentConfig, Config, load
from ipcbus.config.prices import load as load_prices
from ipcbus.errors import UsageError
from ipcbus.protocol.address import fold


def wanted_from(file: Path, name: str | None, network: str | None) -> Wanted:
    """The agent `name` of `file`; of `network`, if several networks have one.

    Raises `ConfigError`, and `UsageError` if there is none.
    """
    config = load(file)
    return _wanted(config, _chosen(file, config, name, network))


def prices_from(file: Path | None) -> Mapping[str, Price]:
    """What models cost; nothing is known without a file. Raises `ConfigError`."""
    if file is None:
        return {}
    return {pattern: Price(*each) for pattern, each in load_prices(file).items()}


def text_of(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(reason=f"cannot read {file}: {error}") from error


def _chosen(
    file: Path, config: Config, name: str | None, network: str | None
) -> AgentConfig:
    known = ", ".join(each.address for each in config.agents.values())
    if not name:
        raise UsageError(reason=f"which agent of {file}? Say --as NAME: {known}")
    found = [
        each
        for each in config.agents.values()
        if fold(each.name) == fold(name)
        and (not network or fold(each.network) == fold(network))
    ]
    if not found:
        who = f"{name}@{network}" if network else name
        reason = f"{file} describes no agent {who}, only: {known or 'none at all'}"
        raise UsageError(reason=reason)
    if len(found) > 1:
        several = " or ".join(each.network for each in found)
        raise UsageError(reason=f"{name} of which network? Say --network: {several}")
    return found[0]


def _wanted(config: Config, agent: AgentConfig) -> Wanted:
    options = Options(agent.model, agent.base_url, agent.command, agent.options)
    return Wanted(
        agent.name,
        agent.network,
        agent.adapter,
        options,
        tools=agent.tools,
        topics=agent.topics,
        persona=agent.persona or text_of(agent.persona_file),
        human=agent.human,
        bounds=Bounds(*agent.limits),
        together=_together(config, agent.network),
        prices=prices_from(config.prices),
        limits=Limits(agent.max_tokens, agent.timeout_s),
        window=agent.window,
        conversations=agent.conversations,
    )


def _together(config: Config, network: str) -> Bounds:
    for each in config.networks.values():
        if fold(each.name) == fold(network):
            return UNBOUNDED._replace(**each.agent_limits._asdict())
    return UNBOUNDED
