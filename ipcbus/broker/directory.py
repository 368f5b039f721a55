"""Who there is: agents, their names and keys, and the topics they joined.

All of it is in memory and in the store's registry; memory is what is read, and each
change goes to both. Names are looked up folded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import partial
from heapq import heapify, heappop, heappush, nlargest

from ipcbus.broker.settings import Settings
from ipcbus.errors import BoundExceeded, NameTaken, NotPermitted
from ipcbus.protocol.address import BROKER_NAME, check_name, fold, matches
from ipcbus.protocol.calls import Role
from ipcbus.store.base import Registry
from ipcbus.store.records import Agent, AgentKey, Alias, Snapshot, Subscription

MOST_COMPARED = 300
"""Names that an unknown one is compared with, some 4 ms: with 10,000 of them all others
would wait for 130 ms because somebody has made a slip."""


LINK_MARK = "@"
"""What the name of a link's agent begins with; see `links`."""


class Directory:
    """Invariants: every agent has one name and no two share one; an alias is no
    agent's name; a key that is not revoked belongs to one agent, or is an operator's;
    `_expected` are the numbers of names that nobody has registered, without links;
    `_idle` are those of them that may be of no use any more.
    """

    def __init__(
        self, registry: Registry, settings: Settings, snapshot: Snapshot
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._agents = {agent.number: agent for agent in snapshot.agents}
        self._names = {fold(agent.name): agent.number for agent in snapshot.agents}
        self._aliases = {alias.name: alias for alias in snapshot.aliases}
        self._keys = {key.key: key for key in snapshot.keys}
        self._expiring = [
            (key.expires, key.key) for key in snapshot.keys if key.expires
        ]
        """Heap: when which invitation is over. Those that were used may be there."""
        heapify(self._expiring)
        self._highest = max(self._agents, default=0)
        self._expected = set(filter(self._is_expected, self._agents))
        self._idle = set(self._expected)
        self._topics: dict[str, set[int]] = {}
        self._wild: dict[str, set[str]] = {}
        """The patterns with a wildcard, by their first part: most topics meet none."""
        self._joined: dict[int, set[str]] = {}
        for subscription in snapshot.subscriptions:
            self._remember(subscription)

    # --- looking up --------------------------------------------------------

    def agent(self, number: int) -> Agent:
        return self._agents[number]

    def get(self, number: int) -> Agent | None:
        """None for a name that was freed."""
        return self._agents.get(number)

    def name(self, number: int) -> str:
        return self._agents[number].name

    def agents(self) -> Iterator[Agent]:
        return iter(self._agents.values())

    def members(self) -> list[int]:
        """Numbers of all registered agents."""
        return [agent.number for agent in self._agents.values() if agent.registered]

    def named(self, name: str) -> Agent | None:
        number = self._names.get(fold(name))
        return None if number is None else self._agents[number]

    def forwarded(self, name: str, wall: int) -> Agent | None:
        """The agent that a former name still leads to."""
        alias = self._aliases.get(fold(name))
        if alias is None or alias.until <= wall:
            return None
        return self._agents[alias.agent]

    def near(self, name: str) -> list[str]:
        """Registered names that look like `name`."""
        wanted, agents = fold(name), self._agents
        names = [own for own, at in self._names.items() if agents[at].registered]
        if len(names) > MOST_COMPARED:
            names = nlargest(MOST_COMPARED, names, key=partial(_likeness, wanted))
        found = get_close_matches(wanted, names, n=3)
        return [agents[self._names[own]].name for own in found]

    def key(self, key: str) -> AgentKey | None:
        return self._keys.get(key)

    def all_keys(self) -> Iterator[AgentKey]:
        return iter(self._keys.values())

    def live_keys(self, number: int) -> list[AgentKey]:
        """The keys with which an agent may speak now."""
        return [
            key
            for key in self._keys.values()
            if key.agent == number and not key.revoked and key.role == Role.AGENT.value
        ]

    # --- agents and keys ---------------------------------------------------

    def expect(self, name: str, wall: int) -> Agent:
        """The agent of this name, made unregistered if there is none."""
        found = self.named(name)
        if found is not None:
            return found
        self._check_free(name, wall)
        count = len(self._agents) - len(self._idle) + 1
        if count > self._settings.max_agents:
            raise BoundExceeded(
                bound="max_agents", value=count, limit=self._settings.max_agents
            )
        if fold(name) in self._aliases:
            self._drop_alias(fold(name))
        return self._put_agent(Agent(self._highest + 1, name, 0, wall, 0, 0, 0))

    def expected(self, numbers: set[int]) -> set[int]:
        """Which of these, and of those looked at before, nobody has registered yet."""
        return (numbers | self._idle) & self._expected

    def free(self, numbers: Collection[int]) -> list[int]:
        """Forget names that nobody registered and for which nothing waits, unless there
        is an invitation or a former name. The highest number waits for a higher one: it
        must not be given again, as what was sent to it may be history."""
        self._idle = {self._highest} & set(numbers)
        if not numbers:
            return []
        in_use = {key.agent for key in self._keys.values()}
        in_use |= {alias.agent for alias in self._aliases.values()}
        freed = [n for n in numbers if n not in in_use and n != self._highest]
        for number in freed:
            self._registry.delete_agent(number)
            del self._names[fold(self._agents.pop(number).name)]
        self._expected.difference_update(freed)
        return freed

    def _is_expected(self, number: int) -> bool:
        agent = self._agents[number]
        return not agent.registered and not agent.name.startswith(LINK_MARK)

    def make_link(self, name: str, wall: int) -> Agent:
        """The agent in whose mailbox mail for another network waits. It is never
        registered, and so no member."""
        return self._put_agent(Agent(self._highest + 1, name, 0, wall, 0, 0, 0))

    def bridge_keys(self, number: int) -> list[AgentKey]:
        """The keys with which bridges may serve a link now."""
        return [
            key
            for key in self._keys.values()
            if key.agent == number and not key.revoked and key.role == Role.BRIDGE.value
        ]

    def register(self, name: str, key: str, wall: int) -> tuple[Agent, bool]:
        """Give `name` to `key`; whether that was new. The same again changes nothing.

        Raises `NameTaken`, `NotPermitted`, `BoundExceeded`, `InvalidAddress`.
        """
        known = self._keys.get(key)
        if known is not None:
            return self._register_again(name, known), False
        agent = self.expect(name, wall)
        if agent.registered and self.live_keys(agent.number):
            raise NameTaken(name=agent.name, reason="it belongs to another key")
        if not agent.registered:
            agent = self._put_agent(agent._replace(registered=1, name=name))
        self.put_key(AgentKey(key, agent.number, Role.AGENT.value, wall, 0, 0))
        return agent, True

    def _register_again(self, name: str, known: AgentKey) -> Agent:
        if known.revoked:
            raise NotPermitted(reason="this key was revoked; make a new one")
        if known.role != Role.AGENT.value:
            raise NotPermitted(reason=f"this key is already an {known.role}'s")
        agent = self._agents[known.agent]
        if fold(agent.name) != fold(name):
            raise NameTaken(name=name, reason=f"this key belongs to {agent.name}")
        return agent

    def put_key(self, key: AgentKey) -> None:
        self._registry.put_key(key)
        self._keys[key.key] = key
        if key.expires:
            heappush(self._expiring, (key.expires, key.key))

    def delete_key(self, key: str) -> None:
        self._registry.delete_key(key)
        del self._keys[key]

    def next_expiry(self) -> int | None:
        """When the next invitation is over (UTC ms)."""
        heap = self._expiring
        while heap and heap[0][1] not in self._keys:
            heappop(heap)
        return heap[0][0] if heap else None

    def drop_expired(self, wall: int) -> list[AgentKey]:
        """Forget the invitations whose time is over."""
        dropped = []
        while (expires := self.next_expiry()) is not None and expires <= wall:
            _, key = heappop(self._expiring)
            dropped.append(self._keys[key])
            self.delete_key(key)
        return dropped

    def update(self, agent: Agent) -> Agent:
        """Change an agent; its name through `rename` alone."""
        assert self._agents[agent.number].name == agent.name
        return self._put_agent(agent)

    def rename(self, agent: Agent, new: str, wall: int) -> int:
        """Returns until when the old name forwards (UTC ms)."""
        self._check_rename(agent, new, wall)
        old = fold(agent.name)
        del self._names[old]
        if fold(new) in self._aliases:
            self._drop_alias(fold(new))
        self._put_agent(agent._replace(name=new, renamed_at=wall))
        until = wall + self._settings.forward_ms
        if fold(new) != old:
            alias = Alias(old, agent.number, until)
            self._registry.put_alias(alias)
            self._aliases[old] = alias
        return until

    def _check_rename(self, agent: Agent, new: str, wall: int) -> None:
        taken = self.named(check_name(new))
        if taken is not None and taken.number != agent.number:
            raise NameTaken(name=taken.name, reason="another agent has it")
        former = self.forwarded(new, wall)
        if former is None or former.number != agent.number:
            self._check_free(new, wall)
        next_time = agent.renamed_at + self._settings.rename_ms
        if agent.renamed_at and wall < next_time:
            minutes = (next_time - wall + 59_999) // 60_000
            raise BoundExceeded(
                bound="renames", value=2, limit=f"1 in this time; wait {minutes} min"
            )

    def expire_aliases(self, wall: int) -> None:
        for alias in [a for a in self._aliases.values() if a.until <= wall]:
            self._drop_alias(alias.name)

    def _drop_alias(self, name: str) -> None:
        self._registry.delete_alias(name)
        del self._aliases[name]

    def _check_free(self, name: str, wall: int) -> None:
        if fold(check_name(name)) == BROKER_NAME:
            raise NameTaken(name=name, reason="it is the broker's own")
        owner = self.forwarded(name, wall)
        if owner is not None:
            raise NameTaken(name=name, reason=f"it still forwards to {owner.name}")

    def _put_agent(self, agent: Agent) -> Agent:
        self._registry.put_agent(agent)
        self._agents[agent.number] = agent
        self._highest = max(self._highest, agent.number)
        self._names[fold(agent.name)] = agent.number
        if self._is_expected(agent.number):
            self._expected.add(agent.number)
        else:
            self._expected.discard(agent.number)
        return agent

    # --- topics ------------------------------------------------------------

    def joined(self, number: int) -> list[str]:
        return sorted(self._joined.get(number, ()))

    def topics(self) -> dict[str, list[int]]:
        return {pattern: sorted(there) for pattern, there in self._topics.items()}

    def join(self, number: int, pattern: str) -> None:
        mine = self._joined.get(number, set())
        if pattern in mine:
            return
        if len(mine) >= self._settings.max_topics:
            raise BoundExceeded(
                bound="max_topics", value=len(mine) + 1, limit=self._settings.max_topics
            )
        subscription = Subscription(number, pattern)
        self._registry.put_subscription(subscription)
        self._remember(subscription)

    def leave(self, number: int, pattern: str) -> None:
        if pattern not in self._joined.get(number, ()):
            return
        self._registry.delete_subscription(Subscription(number, pattern))
        self._joined[number].remove(pattern)
        self._topics[pattern].remove(number)
        if not self._topics[pattern]:
            del self._topics[pattern]
            first = _first_part(pattern)
            if pattern in self._wild.get(first, ()):
                self._wild[first].remove(pattern)
                if not self._wild[first]:
                    del self._wild[first]

    def readers(self, topic: str) -> list[int]:
        """Numbers of the agents whose patterns select `topic`.

        Looks at the patterns with a wildcard that begin as the topic does, or with a
        wildcard, and at no others: ten thousand took 12 ms.
        """
        found = set(self._topics.get(topic, ()))
        for first in {_first_part(topic), "*", "**"}:
            for pattern in self._wild.get(first, ()):
                if matches(pattern, topic):
                    found |= self._topics[pattern]
        return sorted(found)

    def _remember(self, subscription: Subscription) -> None:
        pattern = subscription.pattern
        self._topics.setdefault(pattern, set()).add(subscription.agent)
        if "*" in pattern:
            self._wild.setdefault(_first_part(pattern), set()).add(pattern)
        self._joined.setdefault(subscription.agent, set()).add(subscription.pattern)

    def check_invariants(self) -> None:
        assert len(self._names) == len(self._agents)
        assert self._expected == set(filter(self._is_expected, self._agents))
        for name, number in self._names.items():
            assert fold(self._agents[number].name) == name
            assert name not in self._aliases
        for pattern, there in self._topics.items():
            assert there, pattern
            assert all(pattern in self._joined[number] for number in there)
        expiring = {
            (key.expires, key.key) for key in self._keys.values() if key.expires
        }
        assert expiring <= set(self._expiring)
        wild = {pattern for pattern in self._topics if "*" in pattern}
        assert wild == {one for patterns in self._wild.values() for one in patterns}


def _likeness(wanted: str, name: str) -> int:
    """A cheap guess at how alike two names are."""
    return (
        (name[:2] == wanted[:2])
        + (name[-2:] == wanted[-2:])
        + (abs(len(name) - len(wanted)) < 2)
    )


def _first_part(pattern: str) -> str:
    return pattern.partition(".")[0]
