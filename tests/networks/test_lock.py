"""The lock of a network: one holder, whatever happens to it or to the folder."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ipcbus import networks
from ipcbus.errors import AlreadyServing, NoBroker, UnsafeFolder
from ipcbus.networks import Network, lock

HOLD = """
import sys, time
from ipcbus import networks
fd = networks.find("dev").lock()
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_excludes_and_names_the_holder(network: Network) -> None:
    held = network.lock()
    info = networks.this_broker("dev", "tcp://127.0.0.1:4711", "", 1, plain=True)
    network.write_broker_info(info)
    with pytest.raises(AlreadyServing, match=rf"pid {os.getpid()}.*4711"):
        network.lock(0.0)
    os.close(held)
    os.close(network.lock(0.0))


def test_a_holder_that_has_not_said_where_it_is_is_named_as_such(
    network: Network,
) -> None:
    held = network.lock()
    with pytest.raises(AlreadyServing, match="not reachable yet"):
        network.lock(0.0)
    os.close(held)


def test_the_lock_is_waited_for(network: Network) -> None:
    held = network.lock()
    timer = threading.Timer(0.05, os.close, [held])
    timer.start()
    os.close(network.lock(10.0))
    timer.join()


def test_the_file_of_a_dead_broker_is_gone_once_the_lock_is_held(
    network: Network,
) -> None:
    info = networks.this_broker("dev", "tcp://127.0.0.1:1", "", 1, plain=True)
    network.write_broker_info(info)
    held = network.lock()
    assert network.broker_info() is None
    os.close(held)


def test_asking_whether_it_is_served_changes_nothing(network: Network) -> None:
    assert not network.is_served()
    held = network.lock()
    assert network.is_served()
    assert network.is_served()
    os.close(held)
    assert not network.is_served()


def test_two_who_ask_do_not_see_each_other(network: Network) -> None:
    fd = os.open(network.folder, os.O_RDONLY)
    assert lock._try(fd, fcntl.LOCK_SH)
    assert not network.is_served()
    os.close(fd)


@pytest.mark.chaos
def test_a_holder_that_is_killed_holds_nothing(network: Network) -> None:
    with _holder() as holder:
        assert network.is_served()
        holder.kill()
        holder.wait()
        os.close(network.lock(0.0))


@pytest.mark.chaos
def test_a_frozen_holder_still_holds(network: Network) -> None:
    with _holder() as holder:
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(AlreadyServing):
            network.lock(0.1)
        holder.kill()


def test_a_program_that_the_holder_started_does_not_keep_the_lock(
    network: Network,
) -> None:
    held = network.lock()
    with subprocess.Popen(["/bin/sleep", "60"], close_fds=False) as child:
        os.close(held)
        # Not at once: the kernel closes the child's copy a moment after exec began.
        assert _locks_within(network, 5.0)
        child.kill()


def test_a_folder_replaced_behind_the_lock_is_not_the_one_that_was_locked(
    network: Network,
) -> None:
    held = network.lock()
    network.folder.rename(network.folder.with_name("old"))
    networks.create("dev")
    assert not lock._is_still(network.folder, held)
    os.close(network.lock(0.0))
    os.close(held)


def test_a_folder_that_is_gone_cannot_be_locked(home: Path) -> None:
    gone = Network("dev", home / "networks" / "dev")
    with pytest.raises(UnsafeFolder):
        gone.lock(0.0)
    with pytest.raises(UnsafeFolder):
        gone.is_served()
    with pytest.raises(UnsafeFolder), gone.starter_lock():
        pytest.fail("there is nothing to lock")


def test_starters_take_turns(network: Network) -> None:
    with network.starter_lock():
        with pytest.raises(NoBroker), network.starter_lock(0.05):
            pytest.fail("two starters at once")
        assert not network.is_served()
    with network.starter_lock(0.0):
        pass


def _locks_within(network: Network, seconds: float) -> bool:
    try:
        os.close(network.lock(seconds))
    except AlreadyServing:
        return False
    return True


def _holder() -> subprocess.Popen[bytes]:
    root = Path(networks.__file__).parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, cwd=root
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder
