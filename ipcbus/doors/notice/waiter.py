"""Wait for mail beside a session, and wake the session when it is idle.

    Claude Code   runs this as a hook (`asyncRewake`): an end with 2 wakes the session,
                  and what stands on stderr then is what the model reads
    Codex         has no such hook; `codex queue` begins a turn in a session

A session has one waiter at most: a lock says so, which ends with its holder. While
the model works its hooks show the mail, so nobody is woken then. Nobody is woken for
receipts, nor in a network that a person has paused. It ends with its session.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final

from ipcbus.doors.notice import auto
from ipcbus.doors.notice.looking import News, ask, connected, is_there, leave
from ipcbus.doors.notice.memory import Memory, State, Waiting, hold
from ipcbus.errors import IpcbusError
from ipcbus.networks import Network, process

if TYPE_CHECKING:
    from ipcbus.client.sync import Client
    from ipcbus.doors.notice.looking import Asked

QUIET_S: Final = 1.0
"""Seconds that a session must have been quiet for: the hooks of its last event are
done then, and have shown what they found."""

WORK_S: Final = 300.0
"""A turn that is silent for as long as this was broken off: a CLI tells of the end of
a turn only if it came to one."""

LOOK_S: Final = 1.0
"""Between two looks whether the session is still there."""

HELD_MS: Final = 25_000
"""How long the broker holds one question."""

PATIENCE_S: Final = 10.0

CLAIM_S: Final = 60.0
"""How long one session has, before another of the same agent is woken as well."""

DAY_S: Final = 86_400.0


class Alive:
    """Whether the session still runs."""

    def __init__(self, parent: Waiting | None, reader: int | None) -> None:
        """`parent`: the process that must live, else the one that started this. With
        a `reader` somebody must hold the other end of that descriptor."""
        self.parent = parent
        self._first = os.getppid()
        self._poll = select.poll()
        if reader is not None:
            self._poll.register(reader, 0)

    def after(self, seconds: float) -> bool:
        """Whether it does in `seconds`; known earlier if it does not."""
        if self._poll.poll(seconds * 1000):
            return False
        if self.parent is not None:
            return process.is_same(*self.parent)
        return os.getppid() == self._first


class Post:
    """One network in which mail is waited for."""

    def __init__(self, network: Network, tool: str, agent: str, session: str) -> None:
        self.network = network
        self.memory = Memory(network, tool, agent, session)
        self.agent = agent
        self._tool = tool
        self.client: Client | None = None
        self.told = 0
        """The newest message that the session was woken for."""
        self._asked: Asked | None = None

    def has_news(self, program: str) -> bool:
        """Whether something has come. A broker that is not there may come yet."""
        try:
            return self._has_news(program)
        except IpcbusError:
            self.leave()
            return False

    def _has_news(self, program: str) -> bool:
        if self.client is None:
            if not is_there(self.network):
                return False
            self.client = connected(self.network, self.agent, PATIENCE_S, program)
        asked = self._asked or self.client.start_call("news", self.told, HELD_MS)
        self._asked = None if asked.done() else asked
        if not asked.done():
            return False
        (waiting, *_), _ = asked.result(0)
        return bool(waiting)

    def may_wake(self) -> bool:
        """Whether the session would not hear of it by itself, and wants to."""
        state, now = self.memory.read(), time.time()
        try:
            wish = auto.read(self.network, self.agent)
        except IpcbusError:
            return False
        return is_idle(state, now) and auto.is_due(wish, state.looked or None, now)

    def news(self) -> News:
        """What there is at this moment. Raises `IpcbusError`."""
        assert self.client is not None
        return ask(self.client, self.told, PATIENCE_S)

    def claim(self, newest: int) -> bool:
        """Whether this is the session that is woken for what came up to `newest`: of
        those that share a name one is enough, and the next if nobody read it."""
        everyone = Memory(self.network, self._tool, self.agent, "everyone")
        now = time.time()

        def claimed(state: State) -> State:
            if state.blocked >= newest and 0 <= now - state.at < CLAIM_S:
                return state
            return state._replace(blocked=newest, at=now)

        before = everyone.change(claimed)
        return claimed(before) is not before

    def leave(self, *, keep: bool = False) -> None:
        client, self.client, self._asked = self.client, None, None
        if client is not None:
            leave(client, keep=keep)

    def close(self) -> None:
        self.leave()


Wake = Callable[[Sequence[Post]], bool]
"""Wakes the session for what is new at some posts; True if that is the end of it."""


def is_idle(state: State, now: float) -> bool:
    """Whether no hook of the session is going to show its mail soon."""
    quiet = now - state.at
    return quiet >= (WORK_S if state.working else QUIET_S) or quiet < 0


def wait(
    tool: str,
    networks: Sequence[Network],
    agent: str,
    session: str,
    alive: Alive,
    wake: Wake,
    timeout: float = DAY_S,
) -> bool:
    """Wait until `wake` says that it is done; False if that was not to be: another
    waits already, the session has ended, or the time is over."""
    program = f"ipcbus hook {tool} wait"
    end = time.monotonic() + timeout
    with ExitStack() as stack:
        posts: list[Post] = []
        for network in networks:
            post = Post(network, tool, agent, session)
            lock = hold(post.memory, alive.parent)
            if lock is None:
                return False
            stack.callback(os.close, lock)
            posts.append(stack.enter_context(closing(post)))
        while time.monotonic() < end:
            found = [post for post in posts if post.has_news(program)]
            found = [post for post in found if post.may_wake()]
            if found and wake(found):
                return True
            if not alive.after(LOOK_S):
                break
    return False
