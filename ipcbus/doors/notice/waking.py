"""How a session is woken, in the way of its CLI."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipcbus.doors.notice.looking import MOST, take
from ipcbus.doors.notice.memory import MOST_SHOWN, Memory, Shown, State, Waiting, end
from ipcbus.doors.notice.page import page_of
from ipcbus.doors.notice.words import Page, head, told
from ipcbus.errors import IpcbusError
from ipcbus.networks import Network, process

if TYPE_CHECKING:
    from ipcbus.doors.notice.waiter import Post

WAITED: Final = "wait"
"""Where the waiter has shown something; stands for a kind of event."""

QUEUE_S: Final = 30.0
"""Seconds that `codex queue` may take; on a machine at rest it is 0.3."""

_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "busybox"})


# --- Claude Code -----------------------------------------------------------------


def show(write: Callable[[str], None], posts: Sequence[Post]) -> bool:
    """Write the mail where Claude Code reads it; events of its session ack it, as all
    that was shown. False if another session was quicker, or nobody reads."""
    pages, shown, room = [], [], MOST
    for post in posts:
        page, what = _page(post, max(1, room))
        if page is not None:
            room -= len(page.views)
            pages.append(page)
            shown.append((post, what))
    if not pages:
        return False
    write(told(pages) + "\n")
    for post, what in shown:
        post.memory.change(partial(_and_shown, new=what))
        post.leave(keep=True)
    return True


def _page(post: Post, most: int) -> tuple[Page | None, list[Shown]]:
    try:
        news = post.news()
        assert post.client is not None
        taken = take(post.client, most) if news.waiting else None
    except IpcbusError:
        post.leave()
        return None, []
    if taken is None or not taken.messages:
        post.leave()  # gives receipts back; it connects anew
        return None, []
    page = page_of(post.network, post.agent, taken, news)
    return page, taken.shown(WAITED)


def _and_shown(state: State, new: Sequence[Shown]) -> State:
    shown = (*state.shown, *new)[-MOST_SHOWN:]
    return state._replace(shown=shown, working=True, at=time.time())


# --- Codex -----------------------------------------------------------------------


def queue(program: str, session: str, posts: Sequence[Post]) -> bool:
    """Begin a turn in a session of Codex that only says that there is mail: the hooks
    of that turn show it. What peers wrote is no argument of a program, which all users
    of the machine can read. True if it cannot be done, now or ever."""
    heads = []
    for post in posts:
        try:
            news = post.news()
        except IpcbusError:
            post.leave()
            continue
        if news.waiting and post.claim(news.newest):
            post.told = news.newest
            heads.append(head(post.agent, post.network.name, news.waiting))
    return bool(heads) and not _run(
        [program, "queue", "--thread", session, "--message", "\n".join(heads)]
    )


def _run(command: Sequence[str]) -> bool:
    import subprocess  # 5 ms that only the one who wakes somebody pays

    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=QUEUE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def codex_of(parent: Waiting | None) -> str | None:
    """The program that the session itself runs, or the one on the PATH."""
    if parent is not None:
        try:
            path = Path(f"/proc/{parent.pid}/exe").readlink()
        except OSError:
            return shutil.which("codex")
        if path.name.startswith("codex") and os.access(path, os.X_OK):
            return str(path)
    return shutil.which("codex")


def begin(networks: Sequence[Network], agent: str, session: str) -> Waiting | None:
    """Start the waiter of a session of Codex, which cannot start one by itself. It
    outlives this hook, and ends with the process of the session, which is told."""
    parent = _ancestor()
    if parent is None or codex_of(parent) is None:
        return None
    for network in networks:
        for other in Memory(network, "codex", agent, session).others():
            if other.parent == parent:
                end(other.waiter)  # of the session that this one takes the place of
    import subprocess

    names = ",".join(network.name for network in networks)
    command = [sys.executable, "-P", "-m", "ipcbus", "hook", "codex", "wait"]
    command += ["--network", names, "--as", agent, "--session", session]
    command += ["--parent", ":".join(map(str, parent))]
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    return parent


def parent_from(text: str) -> Waiting | None:
    """What `begin` has said of the process of the session."""
    pid, _, rest = text.partition(":")
    start, _, boot = rest.partition(":")
    if not (pid.isdecimal() and start.isdecimal() and boot):
        return None
    return Waiting(int(pid), int(start), boot)


def _ancestor() -> Waiting | None:
    """The CLI: who started this hook, shells in between left out."""
    pid = os.getppid()
    while pid > 1:
        name, above = _who(pid)
        if name not in _SHELLS:
            start = process.started(pid)
            return Waiting(pid, start, process.boot_id()) if start else None
        pid = above
    return None


def _who(pid: int) -> tuple[str, int]:
    """Name and parent of a process, as proc(5) has it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return "", 0
    front, _, rest = text.rpartition(")")
    return front.partition("(")[2], int(rest.split()[1])
