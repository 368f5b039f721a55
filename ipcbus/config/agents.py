"""The section `agents`: members of networks whose mail is answered by a model.

    agents:
      planner:
        network: dev                # needless if the file has only one
        adapter: anthropic
        model: claude-haiku-4-5
        persona_file: planner.md    # from the folder of this file
        limits: {turns_per_thread: 20}
      reviewer@prod:                # the same as network: prod
        adapter: command
        command: [claude, -p]
        topics: [builds.*]

What an adapter does with `model`, `command` and `options` it says itself, when it is
made: it may be of a package that only the agent's process loads. Defaults are those of
`ipcbus agent`, and so are the names of limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ipcbus.config import lists
from ipcbus.config.kinds import FILE, Choice, Count, Kind, Number, Text
from ipcbus.config.lists import TOPIC, WHO
from ipcbus.config.reading import Place, an_object, file, mapping, named, values
from ipcbus.protocol.address import fold
from ipcbus.protocol.limits import MAX_NAME

if TYPE_CHECKING:
    from ipcbus.config.document import Item

TOOLS: Final = ("send", "ask", "agents", "status", "profile")
USUAL: Final = ("send", "ask", "agents", "status")

_MANY: Final = 1_000_000
_TOKENS: Final = 1_000_000_000_000
_MONEY: Final = 1_000_000_000
_DAY_S: Final = 86_400


class AgentLimits(NamedTuple):
    """What an agent may do, 0 for no bound: `ipcbus.adapters.budget.Bounds`."""

    turns_per_thread: int = 40
    replies_per_hour: int = 60
    tokens_per_day: int = 2_000_000
    money_per_day: float = 0.0
    turn_s: float = 600.0
    tool_calls: int = 20


class SharedLimits(NamedTuple):
    """What all agents of a network may spend together, 0 for no bound."""

    tokens_per_day: int = 0
    money_per_day: float = 0.0


LIMITS: Final[Mapping[str, Kind]] = {
    "turns_per_thread": Count(0, _MANY),
    "replies_per_hour": Count(0, _MANY),
    "tokens_per_day": Count(0, _TOKENS),
    "money_per_day": Number(0, _MONEY),
    "turn_s": Number(0, _DAY_S),
    "tool_calls": Count(0, 1000),
}

SHARED: Final[Mapping[str, Kind]] = {
    name: LIMITS[name] for name in SharedLimits._fields
}


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """One agent to run: what `ipcbus agent` is told, under the names of its options.

    Attributes:
        file: the configuration that it stands in, for the process that runs it.
        timeout_s: seconds for one request to the model.
    """

    name: str
    network: str
    adapter: str
    model: str = ""
    base_url: str = ""
    command: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    persona: str = ""
    persona_file: Path | None = None
    tools: tuple[str, ...] = USUAL
    topics: tuple[str, ...] = ()
    human: str = ""
    limits: AgentLimits = field(default=AgentLimits())
    max_tokens: int = 4096
    timeout_s: float = 300.0
    window: int = 16_000
    conversations: int = 4
    file: Path = field(default=Path(), compare=False)

    @property
    def address(self) -> str:
        """Its name in full, by which no other of the file goes."""
        return f"{self.name}@{self.network}"


_KEYS: Final[Mapping[str, Kind]] = {
    "network": Text("the name of a network", empty=False),
    "adapter": Text("the name of an adapter; see: ipcbus adapters list", empty=False),
    "model": Text("the name of a model, as its platform calls it"),
    "base_url": Text("the address of a server, as http://localhost:8000/v1"),
    "persona": Text("a text that tells the model who it is"),
    "persona_file": FILE,
    "human": WHO,
    "max_tokens": Count(1, 10_000_000),
    "timeout_s": Number(1, _DAY_S),
    "window": Count(100, 10_000_000),
    "conversations": Count(1, 64),
}
_LISTS: Final[Mapping[str, Kind]] = {
    "command": Text("a word of a command line"),
    "tools": Choice(TOOLS),
    "topics": TOPIC,
}
KEYS: Final = (*_KEYS, *_LISTS, "options", "limits")

_KEY: Final = {
    "type": "string",
    "pattern": (
        rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}"
        rf"(@[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}})?$"
    ),
}


def read(
    place: Place, item: Item, networks: Iterable[str]
) -> Mapping[str, AgentConfig]:
    """The agents of a file that has these networks. Raises `ConfigError`."""
    found: dict[str, AgentConfig] = {}
    for name, child in mapping(place, item, None).items():
        at = place.of(name, child)
        agent = _agent(at, name, child, tuple(networks))
        for key, other in found.items():
            if fold(other.address) == fold(agent.address):
                raise at.wrong(f"is the same agent as {key}: {other.address}")
        found[name] = agent
    return found


def described(agent: AgentConfig) -> dict[str, Any]:
    """`agent` as a file would write it."""
    persona: dict[str, Any] = {"persona": agent.persona}
    if agent.persona_file is not None:
        persona = {"persona_file": str(agent.persona_file)}
    keys = {
        key: _KEYS[key].show(getattr(agent, key))
        for key in _KEYS
        if key not in ("persona", "persona_file")
    }
    several = {key: list(getattr(agent, key)) for key in _LISTS}
    rest = {"options": dict(agent.options), "limits": agent.limits._asdict()}
    return {**keys, **persona, **several, **rest}


def schema() -> dict[str, Any]:
    """The section as JSON Schema."""
    word = {"type": ["string", "number", "boolean"]}
    keys = {
        **{key: kind.schema() for key, kind in _KEYS.items()},
        **{key: lists.schema(kind) for key, kind in _LISTS.items()},
        "options": {"type": ["object", "null"], "additionalProperties": word},
        "limits": limits_schema(LIMITS),
    }
    return {
        "type": ["object", "null"],
        "propertyNames": _KEY,
        "additionalProperties": {**an_object(keys), "required": ["adapter"]},
    }


def limits_schema(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    return an_object({key: kind.schema() for key, kind in kinds.items()}, null=True)


def shared(place: Place, item: Item) -> SharedLimits:
    """`agent_limits` of a network."""
    return SharedLimits(**values(place, mapping(place, item, tuple(SHARED)), SHARED))


def _agent(
    place: Place, key: str, item: Item, networks: tuple[str, ...]
) -> AgentConfig:
    name, at, network = key.partition("@")
    named(place, name)
    keys = mapping(place, item, KEYS)
    found: dict[str, Any] = values(place, keys, _KEYS)
    if "adapter" not in keys:
        raise place.wrong(
            f"adapter is missing; it must be {_KEYS['adapter'].allowed()}"
        )
    where = _network(
        place, network if at else None, found.pop("network", None), networks
    )
    if "persona_file" in found:
        there = place.of("persona_file", keys["persona_file"])
        found["persona_file"] = file(there, found["persona_file"])
    if "persona" in keys:
        _check_persona(place.of("persona", keys["persona"]), found)
    for key, kind in _LISTS.items():
        if key in keys:
            found[key] = lists.read(place.of(key, keys[key]), keys[key], kind)
    if "options" in keys:
        found["options"] = _options(
            place.of("options", keys["options"]), keys["options"]
        )
    if "limits" in keys:
        there, limits = place.of("limits", keys["limits"]), keys["limits"]
        said = values(there, mapping(there, limits, tuple(LIMITS)), LIMITS)
        found["limits"] = AgentLimits(**said)
    return AgentConfig(name, where, file=Path(place.file).absolute(), **found)


def _network(
    place: Place, in_key: str | None, said: str | None, networks: tuple[str, ...]
) -> str:
    """The network of an agent: of its name, its key, or the only one of the file."""
    if in_key is not None:
        named(place, in_key)
        if said is not None and fold(said) != fold(in_key):
            raise place.wrong(f"is it of network {in_key} or of {said}?")
        return in_key
    if said is not None:
        return named(place, said)
    if len(networks) == 1:
        return networks[0]
    known = f": {' or '.join(networks)}" if networks else ""
    raise place.wrong(f"network is missing; say which{known}")


def _check_persona(place: Place, found: Mapping[str, Any]) -> None:
    if "persona_file" in found:
        raise place.wrong("there is a persona_file too; which of them is it?")
    with suppress(OSError, ValueError):  # a text, then
        if (Path(place.file).parent / found["persona"]).is_file():
            raise place.wrong("is the name of a file; call it persona_file, then")


def _options(place: Place, item: Item) -> dict[str, str]:
    """As text, which is what a command line gives an adapter, too."""
    found = {}
    for name, child in mapping(place, item, None).items():
        if not isinstance(child.value, str):
            raise place.of(name, child).wrong("it must be a text or a number")
        found[name] = child.value
    return found
