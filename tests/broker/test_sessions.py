"""Sessions: found by peer, by agent and by key."""

from __future__ import annotations

from ipcbus.broker.sessions import Sessions
from ipcbus.protocol.calls import Role


def test_sessions_of_a_key_are_found_until_they_end() -> None:
    sessions = Sessions()
    first = sessions.add(b"1", "key", Role.AGENT, 1, "")
    second = sessions.add(b"2", "key", Role.AGENT, 1, "")
    other = sessions.add(b"3", "other", Role.OPERATOR, 0, "")
    assert sessions.of_key("key") == [first, second]
    assert sessions.of_key("other") == [other]
    sessions.check_invariants()
    sessions.remove(first)
    sessions.check_invariants()
    assert sessions.of_key("key") == [second]
    sessions.remove(second)
    assert sessions.of_key("key") == []
    sessions.check_invariants()


def test_the_list_of_a_keys_sessions_may_be_used_while_they_end() -> None:
    sessions = Sessions()
    for number in range(3):
        sessions.add(bytes([number]), "key", Role.AGENT, 1, "")
    for session in sessions.of_key("key"):
        sessions.remove(session)
    assert len(sessions) == 0
