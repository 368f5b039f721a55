"""The waiter of a session: what it wakes for, and what it leaves to the hooks.

It runs in this process, beside a real broker; a session is played by `Session`.
`tests/doors/cli/test_hook_wait.py` runs it as the CLIs do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.doors.notice import auto, waiter, waking
from ipcbus.doors.notice.given import Given
from ipcbus.doors.notice.hook import hook
from ipcbus.doors.notice.memory import Memory, State, Waiting
from ipcbus.doors.notice.waiter import Alive, Post, Wake, is_idle
from ipcbus.networks import BrokerInfo, Network, process
from ipcbus.transport import launch
from tests.doors.cli.hooks import send, waiting
from tests.waiting import until

BOUND_S = 30.0


class Session(Alive):
    """A session in which something happens after each look of its waiter."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__(None, None)
        self._steps = [*steps]
        self._end = time.monotonic() + BOUND_S

    def after(self, seconds: float) -> bool:
        assert time.monotonic() < self._end, "it was not woken"
        if self._steps:
            self._steps.pop(0)()
        os.sched_yield()
        return True


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event of these sessions is still under way."""
    monkeypatch.setattr(waiter, "QUIET_S", 0.0)


@pytest.fixture
def bob(broker: BrokerInfo) -> str:
    ipcbus.connect("dev", agent="bob").close()
    return "bob"


def woken(network: Network, *steps: Callable[[], object]) -> str:
    """What a session is woken with, in which `steps` are taken."""
    said: list[str] = []
    wake = partial(waking.show, said.append)
    assert waiter.wait("claude", [network], "bob", "s-1", Session(*steps), wake, 60.0)
    (text,) = said
    return text


def event(network: Network, name: str) -> str:
    """What an event of the session shows."""
    said: list[str] = []
    hook("claude", name, Given("s-1"), [network], "bob", said.append, BOUND_S)
    return "".join(said)


def a_post(network: Network, session: str = "s-1") -> Post:
    """One that has heard of news."""
    post = Post(network, "claude", "bob", session)
    until(lambda: post.has_news("a test"))
    return post


# --- what wakes ------------------------------------------------------------------


@pytest.mark.usefixtures("bob")
def test_a_session_can_be_woken_again_and_again(network: Network) -> None:
    for number in range(3):
        text = woken(network, partial(send, f"number {number}"))

        assert "1 new message" in text
        assert text.endswith(f"\n| number {number}\n")
        assert event(network, "UserPromptSubmit") == ""
        assert event(network, "Stop") == ""
        assert waiting() == 0


@pytest.mark.usefixtures("bob")
def test_nobody_is_woken_for_what_a_turn_has_shown(network: Network) -> None:
    shown: list[str] = []

    text = woken(
        network,
        lambda: event(network, "UserPromptSubmit"),
        partial(send, "one"),
        lambda: shown.append(event(network, "PostToolBatch")),
        lambda: event(network, "Stop"),
        partial(send, "two"),
    )

    assert "| one" in shown[0]
    assert text.endswith("\n| two\n")
    assert "| one" not in text


def test_nobody_is_woken_for_a_receipt(network: Network, bob: str) -> None:
    with ipcbus.connect("dev", agent="alice") as alice:

        def a_receipt_comes() -> None:
            with ipcbus.connect("dev", agent=bob) as client:
                client.send("alice", "done?", receipt="acked")
            [message] = alice.receive(timeout=BOUND_S)
            message.ack().result(BOUND_S)
            until(lambda: waiting() == 1)

        text = woken(network, a_receipt_comes, partial(send, "real mail"))

    assert "1 new message" in text
    assert "receipt from ipcbus (acked)" in text


def test_a_broker_may_come_later(network: Network) -> None:
    def one_comes() -> None:
        launch.start(network)
        ipcbus.connect("dev", agent="bob").close()
        send("at last")

    assert woken(network, one_comes).endswith("\n| at last\n")


@pytest.mark.usefixtures("bob")
def test_a_broker_may_be_replaced(network: Network) -> None:
    def another_comes() -> None:
        launch.stop(network)
        launch.start(network)
        send("still there")

    assert woken(network, another_comes).endswith("\n| still there\n")


@pytest.mark.usefixtures("bob")
def test_mail_of_any_of_its_networks_wakes_a_session(network: Network) -> None:
    prod = networks.create("prod")
    launch.start(prod)
    ipcbus.connect("prod", agent="bob").close()

    def mail_comes() -> None:
        with ipcbus.connect("prod", agent="alice") as alice:
            alice.send("bob", "from prod")

    said: list[str] = []
    wake = partial(waking.show, said.append)
    both = [network, prod]

    assert waiter.wait("claude", both, "bob", "s-1", Session(mail_comes), wake)
    assert said[0].startswith("ipcbus: 1 new message for bob in prod. ")


# --- what does not ----------------------------------------------------------------


@pytest.mark.usefixtures("bob")
def test_while_the_model_works_its_hooks_show_the_mail(network: Network) -> None:
    event(network, "UserPromptSubmit")
    send()
    post = a_post(network)

    assert not post.may_wake()
    assert '"block"' in event(network, "Stop")
    assert not post.may_wake()  # the turn goes on
    post.close()


@pytest.mark.usefixtures("bob")
def test_who_stopped_auto_checking_is_not_woken(network: Network) -> None:
    send()
    post = a_post(network)

    auto.stop(network, "bob")
    assert not post.may_wake()
    auto.start(network, "bob", 0)
    assert post.may_wake()
    post.close()


def test_a_session_is_idle_when_no_hook_is_going_to_show_its_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiter, "QUIET_S", 1.0)
    rests, works = State(at=1000.0), State(at=1000.0, working=True)

    assert not is_idle(rests, 1000.5)
    assert is_idle(rests, 1001.5)
    assert not is_idle(works, 1001.5)
    assert is_idle(works, 1000.0 + waiter.WORK_S)  # it was broken off
    assert is_idle(works, 999.0)  # a clock that was set back silences nobody for long


@pytest.mark.usefixtures("bob")
def test_mail_that_somebody_else_took_wakes_nobody(network: Network) -> None:
    send()
    post = a_post(network)
    assert "| the build is red" in event(network, "UserPromptSubmit")
    said: list[str] = []

    assert not waking.show(said.append, [post])
    assert said == []


@pytest.mark.usefixtures("bob")
def test_mail_that_could_not_be_told_is_given_back(network: Network) -> None:
    """The CLI has gone at that very moment."""

    def gone(text: str) -> None:
        raise BrokenPipeError

    wake: Wake = partial(waking.show, gone)
    with pytest.raises(BrokenPipeError):
        waiter.wait("claude", [network], "bob", "s-1", Session(send), wake)

    assert Memory(network, "claude", "bob", "s-1").read().shown == ()
    assert "seen before" in event(network, "UserPromptSubmit")


def test_a_session_has_one_waiter(network: Network) -> None:
    inner: list[bool] = []

    def another() -> None:
        inner.append(waiter.wait("claude", [network], "bob", "s-1", Session(), _never))

    outer = waiter.wait("claude", [network], "bob", "s-1", Ends(another), _never)

    assert (outer, inner) == (False, [False])


class Ends(Session):
    """A session that ends when all has happened."""

    def after(self, seconds: float) -> bool:
        return bool(self._steps) and super().after(seconds)


def _never(posts: object) -> bool:
    raise AssertionError("nobody is to be woken")


# --- several sessions of one agent -------------------------------------------------


def test_of_sessions_that_share_a_name_one_is_woken(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Post(network, "codex", "bob", name) for name in ("s-1", "s-2"))

    assert first.claim(5)
    assert not second.claim(5)
    assert second.claim(6)
    assert not first.claim(6)

    monkeypatch.setattr(waiter, "CLAIM_S", 0.0)  # nobody has read it
    assert first.claim(6)


@pytest.mark.usefixtures("bob")
def test_a_codex_that_cannot_be_woken_is_not_tried_again(
    network: Network, tmp_path: Path
) -> None:
    send()
    post = a_post(network)

    assert waking.queue(str(tmp_path / "codex"), "s-1", [post])
    assert waiting() == 1
    post.close()


# --- the end of a session -----------------------------------------------------------


def test_a_session_has_ended_when_nobody_reads_its_waiter() -> None:
    reader, writer = os.pipe()
    alive = Alive(None, writer)
    assert alive.after(0)

    os.close(reader)

    assert not alive.after(BOUND_S)
    os.close(writer)


def test_a_session_has_ended_with_its_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    ) as session:
        start = process.started(session.pid)
        assert start is not None
        alive = Alive(Waiting(session.pid, start, process.boot_id()), None)
        assert alive.after(0)
        session.kill()

    assert not alive.after(0)


def test_the_process_of_a_session_is_told_in_one_word() -> None:
    assert waking.parent_from("17:4711:boot-1") == Waiting(17, 4711, "boot-1")
    for text in ("", "17", "17:4711", "17:4711:", "x:1:boot", "1:y:boot", "-1:1:b"):
        assert waking.parent_from(text) is None
