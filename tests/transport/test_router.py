"""The front socket: how it is set up, and where it listens."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from ipcbus.errors import CannotServe, PortInUse
from ipcbus.protocol import limits
from ipcbus.transport.keys import generate
from ipcbus.transport.router import RCVHWM, SNDHWM, Front, open_router

HOST = "127.0.0.1"


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def front(context: zmq.Context[zmq.Socket[bytes]]) -> Front:
    return open_router(context, "dev", generate())


@pytest.mark.security
@pytest.mark.parametrize(
    ("option", "value"),
    [
        (zmq.LINGER, 0),
        (zmq.SNDTIMEO, 0),
        (zmq.SNDHWM, SNDHWM),
        (zmq.RCVHWM, RCVHWM),
        (zmq.MAXMSGSIZE, limits.MAX_FRAME),
        (zmq.HANDSHAKE_IVL, limits.HANDSHAKE_MS),
        (zmq.BACKLOG, 4096),
        (zmq.HEARTBEAT_IVL, 0),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, 15),
        (zmq.TCP_KEEPALIVE_INTVL, 5),
        (zmq.TCP_KEEPALIVE_CNT, 3),
        (zmq.ZAP_DOMAIN, b"dev"),
        (zmq.ZAP_ENFORCE_DOMAIN, 1),
        (zmq.CURVE_SERVER, 1),
        (zmq.ROUTING_ID, b""),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_an_option_is_what_the_rules_ask_for(
    front: Front, option: int, value: object
) -> None:
    assert front.socket.getsockopt(option) == value


def test_a_send_to_nobody_is_an_error(front: Front) -> None:
    """ROUTER_MANDATORY cannot be read back; this is what it does."""
    with pytest.raises(zmq.ZMQError, match="Host unreachable"):
        front.socket.send_multipart([b"nobody", b""])


def test_a_free_port_is_found_and_named(front: Front) -> None:
    endpoint = front.bind(HOST, 0)
    assert endpoint == front.endpoint
    assert endpoint.startswith(f"tcp://{HOST}:")
    assert int(endpoint.rpartition(":")[2]) > 0


def test_ipv6_loopback_can_be_listened_on(front: Front) -> None:
    if not socket.has_ipv6:
        pytest.skip("needs IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("needs IPv6 on the loopback interface")
    assert front.bind("::1", 0).startswith("tcp://[::1]:")


def test_a_port_in_use_is_an_error_that_names_it(front: Front) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            front.bind(HOST, port, patience_s=0.0)


def test_a_port_that_is_given_up_meanwhile_is_waited_for(front: Front) -> None:
    other = socket.create_server((HOST, 0))
    port = other.getsockname()[1]
    gives_up = threading.Timer(0.1, other.close)
    gives_up.start()
    began = time.monotonic()
    try:
        assert front.bind(HOST, port, patience_s=5.0) == f"tcp://{HOST}:{port}"
    finally:
        gives_up.join()
    assert time.monotonic() - began < 1.0


def test_a_host_of_another_machine_is_named(front: Front) -> None:
    with pytest.raises(CannotServe, match=r"192\.0\.2\.1"):
        front.bind("192.0.2.1", 0)


def test_a_port_can_be_left_and_taken_again(front: Front) -> None:
    endpoint = front.bind(HOST, 0)
    front.unbind()
    port = int(endpoint.rpartition(":")[2])
    assert front.bind(HOST, port, patience_s=2.0) == endpoint
