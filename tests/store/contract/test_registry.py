"""Agents, keys, names, topics and counters come back as they were put."""

from __future__ import annotations

from collections.abc import Callable

from ipcbus.store.base import Store
from ipcbus.store.records import Agent, AgentKey, Alias, Mailbox, Subscription
from tests.store.making import turn

ANN = Agent(1, "Ann", 1, 10, 0, 0, 0)
BEN = Agent(2, "ben", 0, 20, 30, 5, 1000)


def test_all_of_it_survives_a_restart(
    unopened: Callable[[], Store], store: Store
) -> None:
    with turn(store):
        registry = store.registry
        registry.put_agent(BEN)
        registry.put_agent(ANN)
        registry.put_key(AgentKey("ff", 1, "agent", 10, 0, 0))
        registry.put_key(AgentKey("00", 0, "operator", 5, 0, 7))
        registry.put_alias(Alias("old", 1, 99))
        registry.put_subscription(Subscription(1, "build.*"))
        registry.put_subscription(Subscription(1, "build.*"))
        registry.put_counters({"accepted": 2**60, "acked": 1})
        registry.put_pause(7, 1)
        registry.put_pause(0, 1)
    store.close()
    again = unopened()
    found = again.open()
    again.close()
    assert found.agents == [ANN, BEN]
    assert found.keys == [
        AgentKey("00", 0, "operator", 5, 0, 7),
        AgentKey("ff", 1, "agent", 10, 0, 0),
    ]
    assert found.aliases == [Alias("old", 1, 99)]
    assert found.subscriptions == [Subscription(1, "build.*")]
    assert found.counters == {"accepted": 2**60, "acked": 1}
    assert found.pauses == [0, 7]


def test_what_is_put_again_is_replaced_and_what_is_deleted_is_gone(
    unopened: Callable[[], Store], store: Store
) -> None:
    with turn(store):
        registry = store.registry
        registry.put_agent(ANN)
        registry.put_agent(ANN._replace(name="Anna"))
        registry.put_agent(ANN._replace(number=77, name="never"))
        store.mail.put_totals([Mailbox(77, 1, 10)])
        registry.delete_agent(77)
        registry.delete_agent(78)
        registry.put_key(AgentKey("ff", 1, "agent", 10, 0, 0))
        registry.delete_key("ff")
        registry.delete_key("never there")
        registry.put_alias(Alias("old", 1, 99))
        registry.put_alias(Alias("old", 2, 100))
        registry.put_alias(Alias("older", 2, 100))
        registry.delete_alias("older")
        registry.put_subscription(Subscription(1, "a"))
        registry.delete_subscription(Subscription(1, "a"))
        registry.put_counters({"a": 1, "b": 2})
        registry.put_pause(1, 1)
        registry.put_pause(1, 1)
        registry.put_pause(2, 1)
        registry.put_pause(2, 0)
        registry.put_pause(3, 0)
    with turn(store):
        store.registry.put_counters({"b": 3})
    store.close()
    again = unopened()
    found = again.open()
    again.close()
    assert [a.name for a in found.agents] == ["Anna"]
    assert found.mailboxes == []
    assert found.keys == []
    assert found.aliases == [Alias("old", 2, 100)]
    assert found.subscriptions == []
    assert found.counters == {"b": 3}
    assert found.pauses == [1]
