"""The stage of a demo: its home, the order of things, and its exit code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from ipcbus import networks
from ipcbus.client.connect import connect
from ipcbus.doors.demo.bridge import Bridge
from ipcbus.doors.demo.cast import Cast
from ipcbus.doors.demo.scenes import SCENES, Scene
from ipcbus.doors.demo.story import Shell, Story
from ipcbus.errors import IpcbusError

END_S: Final = 15.0
"""How long a broker may take to end."""


def open_home() -> Path:
    """A home of its own, also for the processes that are started from here."""
    for name in ("IPCBUS_NETWORK", "IPCBUS_AGENT"):
        os.environ.pop(name, None)
    home = Path(tempfile.mkdtemp(prefix="ipcbus-demo-"))
    os.environ["IPCBUS_HOME"] = str(home)
    return home


def close_home(home: Path) -> int:
    """End what still serves there and remove it; how many brokers did not end."""
    left = 0
    for network in networks.networks():
        info = network.broker_info()
        if info is not None and info.is_alive():
            os.kill(info.pid, signal.SIGTERM)
        deadline = time.monotonic() + END_S
        while network.is_served() and time.monotonic() < deadline:
            time.sleep(0.02)
        left += network.is_served()
    shutil.rmtree(home)
    return left


def perform(story: Story, scenes: Sequence[Scene]) -> None:
    operator = Shell(story, "you")
    story.title("Two brokers")
    for name in ("dev", "prod"):
        up = operator.run("up", "--network", name, "--detach")
        story.tell("", f"network {name} is up at {up['endpoint']} (pid {up['pid']})")
    bob, dana = Shell(story, "bob", "dev"), Shell(story, "dana", "prod")
    bridge = Bridge(story)
    try:
        with (
            connect("dev", agent="alice") as alice,
            connect("dev", agent="carol") as carol,
        ):
            cast = Cast(alice, bob, carol, dana, bridge)
            for scene in scenes:
                scene(story, cast)
    finally:
        bridge.end()
    operator.run("down", "--all")


def main(scenes: Sequence[Scene] = SCENES, out: TextIO | None = None) -> int:
    """Play the scenes; the exit code."""
    story = Story(out or sys.stdout)
    home = open_home()
    try:
        perform(story, scenes)
    except (IpcbusError, subprocess.TimeoutExpired, AssertionError) as error:
        story.prove("the demo ran to its end", False, str(error) or repr(error))
    finally:
        left = close_home(home)
    gone = left == 0 and not home.exists()
    story.prove("nothing is left behind", gone, f"{left} brokers, no files")
    return story.close()
