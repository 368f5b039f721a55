"""`hook` at the end of a turn, and where it is not to disturb."""

from __future__ import annotations

import stat

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.doors.notice import auto
from tests.doors.cli.conftest import Call, Run
from tests.doors.cli.hooks import Hook, hooks, send, text, waiting
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("broker", "bob")


@pytest.fixture
def hook(run: Run) -> Hook:
    return hooks(run)


# --- the end of a turn ---------------------------------------------------------


def test_a_turn_that_goes_on_because_of_mail_goes_on_again_for_new_mail(
    hook: Hook,
) -> None:
    send("one")
    assert text(hook("claude", "Stop")).endswith("| one")
    assert hook("claude", "Stop", stop_hook_active=True).out == ""

    send("two")
    assert text(hook("claude", "Stop", stop_hook_active=True)).endswith("| two")
    assert hook("claude", "Stop", stop_hook_active=True).out == ""


def test_mail_that_was_refused_does_not_keep_a_turn_going(
    hook: Hook, call: Call
) -> None:
    """The model nacks it, and it would be shown at each end of the turn for ever."""
    id_ = send()
    hook("claude", "Stop")
    call("nack", id_, agent="bob")

    assert hook("claude", "Stop", stop_hook_active=True).out == ""
    assert "seen before" in text(hook("claude", "UserPromptSubmit"))


def test_a_receipt_alone_is_no_news_and_comes_along_with_some(
    hook: Hook, call: Call, run: Run
) -> None:
    assert run("register", "alice").code == 0
    with ipcbus.connect("dev", agent="bob") as bob:
        asked = bob.send("alice", "done?", receipt="acked").id
    call("check", agent="alice")

    for event in ("SessionStart", "UserPromptSubmit", "PostToolBatch", "Stop"):
        assert hook("claude", event).out == ""
    assert waiting() == 1

    send()
    shown = text(hook("claude", "Stop"))
    assert f"receipt from ipcbus (acked) of {asked}, " in shown
    assert "1 new message" in shown
    hook("claude", "Stop", stop_hook_active=True)
    assert waiting() == 0


def test_a_bounce_is_news(hook: Hook) -> None:
    with ipcbus.connect("dev", agent="bob") as bob:
        bob.send("carol", "anybody?", future=True, ttl=0.2)

    shown: list[str] = []

    def comes() -> bool:
        shown.append(hook("claude", "UserPromptSubmit").out)
        return "could not be delivered" in shown[-1]

    until(comes)
    assert ", bounce, id " in shown[-1]


# --- who is not to be disturbed ------------------------------------------------


def test_a_paused_network_is_silent(hook: Hook, run: Run) -> None:
    send()
    with ipcbus.connect("dev", agent="") as operator:
        operator.call("pause", None)
        assert hook("claude", "Stop").out == ""

        operator.call("resume", None)
        assert "the build is red" in text(hook("claude", "Stop"))


def test_who_stopped_auto_checking_is_told_nothing(hook: Hook) -> None:
    send()
    auto.stop(networks.find("dev"), "bob")
    assert hook("claude", "Stop").out == ""

    auto.start(networks.find("dev"), "bob", 0)
    assert "the build is red" in text(hook("claude", "Stop"))


def test_who_checks_every_hour_is_told_once_in_an_hour(hook: Hook) -> None:
    auto.start(networks.find("dev"), "bob", 3600)
    send("one")
    assert text(hook("claude", "UserPromptSubmit")).endswith("| one")

    send("two")
    assert hook("claude", "Stop").out == ""
    assert waiting() == 1  # the first was acked all the same


def test_a_helper_of_the_model_gets_none_of_its_mail(hook: Hook) -> None:
    send()

    assert hook("claude", "PostToolBatch", agent_id="helper-1").out == ""
    assert "the build is red" in text(hook("claude", "PostToolBatch"))


# --- where there is no history ---------------------------------------------------


def test_without_a_history_what_is_cut_is_kept_in_a_file(hook: Hook) -> None:
    found = networks.find("dev")
    found.save(found.saved()._replace(settings={"history_ms": 0}))
    body = "One. Two. " + "x" * 5000
    id_ = send(body)

    shown = text(hook("claude", "UserPromptSubmit"))

    path = found.folder / "notice" / "mail" / f"{id_}.txt"
    assert shown.endswith(f"(4.9 KiB in all: {path})")
    assert path.read_text() == body
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
