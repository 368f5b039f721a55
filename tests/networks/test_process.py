"""Telling a process from another that has its number."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ipcbus.networks import process


def test_an_ended_process_is_not_taken_for_a_living_one() -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    start, boot = process.started(child.pid), process.boot_id()
    assert start is not None
    assert process.is_same(child.pid, start, boot)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    assert not process.is_same(child.pid, start, boot)
    child.wait()
    assert process.started(child.pid) is None


def test_a_program_with_brackets_and_blanks_in_its_name_has_a_start_time(
    home: Path,
) -> None:
    odd = home / "a) S 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as child:
        started, own = process.started(child.pid), process.started(os.getpid())
        child.kill()
    assert started is not None
    assert own is not None
    assert started >= own
