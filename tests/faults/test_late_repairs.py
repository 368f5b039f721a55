"""Clients that were there first: before their broker, before their key was known, or
while something else had the port. Once that is mended they work, without a restart."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.errors import NoBroker, NotPermitted
from ipcbus.networks import Network, Saved
from ipcbus.transport import keys, launch
from tests.bridges.town import DEV, PROD, THERE, Home, bridge, new_home
from tests.waiting import until

PROMISED_S = 5.0
PARTED_S = 3.0
"""How long it is broken: until a client tries seldom (`LONGEST_DELAY_S`)."""

Show = Callable[[str], None]

pytestmark = pytest.mark.chaos


class Machines(NamedTuple):
    """The broker's network here, and a client's machine, where carol has joined it; it
    cannot start a broker of it, and knows nothing but the address."""

    network: Network
    address: tuple[str, int]


@pytest.fixture
def machines(network: Network, home: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    info = launch.start(network)
    with ipcbus.connect("dev", agent="") as operator:
        line = ipcbus.invite(operator, "carol")
    monkeypatch.setenv("IPCBUS_HOME", str(home / "elsewhere"))
    ipcbus.join_network(line)
    port = int(info.endpoint.rpartition(":")[2])
    return Machines(network, ("127.0.0.1", port))


def connect(timeout: float = 60.0) -> ipcbus.Client:
    return ipcbus.connect("dev", agent="carol", timeout=timeout)


class Early:
    """A client that connects in a thread, from before it can."""

    def __init__(self) -> None:
        self.done_at = 0.0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._connect)
        self._thread.start()

    def _connect(self) -> None:
        try:
            with connect() as carol:
                carol.send("carol", "early", timeout=30)
                self.done_at = time.monotonic()
        except BaseException as error:  # noqa: BLE001 - told where it is waited for
            self.error = error

    def waits(self) -> bool:
        return self._thread.is_alive()

    def ends(self) -> float:
        """When its first message was accepted."""
        self._thread.join(60)
        assert self.error is None, repr(self.error)
        assert not self._thread.is_alive()
        return self.done_at


def _mended(
    machines: Machines,
    what: str,
    broken: contextlib.AbstractContextManager[object],
    show: Show,
) -> None:
    """Break it under a client that is connected, and before another that is not; mend
    it, and both work."""
    network = machines.network
    with connect() as carol:
        launch.stop(network)
        with broken:
            early = Early()
            begun = time.monotonic()
            with pytest.raises(NoBroker):
                carol.send("carol", "into nothing", timeout=PARTED_S, id="once")
            until(lambda: time.monotonic() - begun > PARTED_S, "it has tried often")
            assert early.waits()
        launch.start(network)
        ready = time.monotonic()
        carol.send("carol", "again", timeout=30)
        back = time.monotonic() - ready
        first = max(0.0, early.ends() - ready)
        bodies = {message.body for message in carol.fetch(10)[0]}
        assert bodies == {"into nothing", "again", "early"}, "each once"
    show(
        f"{what}: a client that was connected is back {back:.2f} s after mending, one "
        f"that began before works after {first:.2f} s"
    )
    assert back < PROMISED_S
    assert first < PROMISED_S


def test_a_broker_that_is_absent(machines: Machines, show: Show) -> None:
    _mended(machines, "absent", contextlib.nullcontext(), show)


# --- something else has the port ---------------------------------------------------


@contextlib.contextmanager
def listening(
    address: tuple[str, int], serve: Callable[[socket.socket], None]
) -> Iterator[None]:
    """A program that does `serve` with each connection."""
    opened: list[socket.socket] = []
    with socket.create_server(address, backlog=100) as server:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one, _ = server.accept()
                    opened.append(one)
                    serve(one)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for one in opened:
                one.close()
    assert opened, "nobody came to it"


def _web(one: socket.socket) -> None:
    one.recv(64)
    one.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    one.close()


def _mute(one: socket.socket) -> None:
    """Say nothing, and stay."""


def _talker(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.sendall(b"SSH-2.0-OpenSSH_9.9\r\n" + bytes(range(256)) * 16)


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(_web, marks=pytest.mark.slow),
        pytest.param(_mute, marks=pytest.mark.slow),
        _talker,
    ],
    ids=lambda f: f.__name__,
)
def test_another_program_on_its_port(
    machines: Machines, show: Show, serve: Callable[[socket.socket], None]
) -> None:
    broken = listening(machines.address, serve)
    _mended(machines, f"another program ({serve.__name__[1:]})", broken, show)


@contextlib.contextmanager
def another_broker(port: int) -> Iterator[None]:
    with new_home() as home:
        other = home.network("dev")
        home.start(other, port=port)
        yield
        launch.stop(other)


def test_the_broker_of_another_network_of_that_name_on_its_port(
    machines: Machines, show: Show
) -> None:
    """Its server key is not the one that was joined."""
    broken = another_broker(machines.address[1])
    _mended(machines, "another broker", broken, show)


# --- a key that is not known yet -----------------------------------------------------


def test_a_client_whose_key_is_not_known_is_told_at_once_and_may_ask_again(
    network: Network, home: Path, monkeypatch: pytest.MonkeyPatch, show: Show
) -> None:
    """It does not wait for what may never come; the same process may try again."""
    info = launch.start(network)
    monkeypatch.setenv("IPCBUS_HOME", str(home / "elsewhere"))
    joined = networks.create("dev")
    joined.save(Saved(remote=info.endpoint, server_key=info.server_key))
    public = keys.create(joined.key_path("carol")).public
    begun = time.monotonic()
    with pytest.raises(NotPermitted):
        connect()
    told = time.monotonic() - begun
    monkeypatch.setenv("IPCBUS_HOME", str(home))
    with ipcbus.connect("dev", agent="") as operator:
        operator.call("register", "carol", public)
    mended = time.monotonic()
    monkeypatch.setenv("IPCBUS_HOME", str(home / "elsewhere"))
    with connect() as carol:
        carol.send("carol", "x")
    works = time.monotonic() - mended
    show(f"an unknown key: told after {told:.2f} s, works {works:.2f} s after mending")
    assert told < PROMISED_S
    assert works < PROMISED_S


def test_a_bridge_whose_key_is_not_known_yet_goes_on_asking(
    tmp_path: Path, show: Show
) -> None:
    with new_home() as near, new_home() as distant:
        near.start(near.network(DEV))
        prod = distant.network(PROD)
        distant.start(prod)
        public = _joined_as_a_bridge(near, prod)
        with bridge(near, tmp_path) as spans:
            spans.says(THERE, "connecting: prod: not permitted")
            with distant.inside(), ipcbus.connect(PROD, agent="") as owner:
                owner.call("link", DEV, public, "both")
            mended = time.monotonic()
            spans.runs()
            took = time.monotonic() - mended
    show(f"a bridge whose key was not known: carries {took:.1f} s after mending")
    assert took < 2 * PROMISED_S, "it asks about every 5 s"


def _joined_as_a_bridge(near: Home, prod: Network) -> str:
    """The key that the owner of prod does not know yet."""
    info = prod.broker_info()
    assert info is not None
    joined = near.network(PROD)
    joined.save(Saved(remote=info.endpoint, server_key=info.server_key))
    return keys.create(joined.key_path("@dev")).public
