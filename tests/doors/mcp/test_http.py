"""The port: who is let in, and that clients do not take each other's mail."""

from __future__ import annotations

import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from ipcbus import networks
from ipcbus.doors.mcp.http import listen, token_in
from ipcbus.errors import PortInUse
from tests.doors.mcp.conftest import Peer
from tests.doors.mcp.model import (
    HANDSHAKE,
    MODERN,
    WAIT_S,
    Served,
    model_at,
    served_by_http,
)
from tests.waiting import until

ASKED = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture(scope="module")
def served(bus: Path) -> Iterator[Served]:
    with served_by_http("--network", "dev", "--as", "model") as served:
        yield served


def post(served: Served, **headers: str) -> httpx2.Response:
    accepted = {"accept": "application/json, text/event-stream", **headers}
    return httpx2.post(served.url, json=ASKED, headers=accepted)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# --- who is let in -----------------------------------------------------------


def test_who_has_the_token_is_let_in(served: Served) -> None:
    assert post(served, **bearer(served.token)).status_code not in (401, 403, 404)


def test_who_has_not_is_kept_out(served: Served) -> None:
    for wrong in ("wrong", served.token[:-1], served.token + "x"):
        assert post(served, **bearer(wrong)).status_code == 401
    refused = post(served, **bearer("wrong"))

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert post(served).status_code == 401
    assert post(served, authorization=f"Basic {served.token}").status_code == 401
    assert served.token not in refused.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", ""])
def test_another_host_is_refused_even_with_the_token(served: Served, host: str) -> None:
    """A name that an attacker lets point to this machine."""
    assert post(served, **bearer(served.token), host=host).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://localhost.evil.example:80"]
)
def test_a_page_of_another_origin_is_refused(served: Served, origin: str) -> None:
    assert post(served, **bearer(served.token), origin=origin).status_code == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_a_page_of_this_machine_is_let_in(served: Served, name: str) -> None:
    port = urlsplit(served.url).port
    found = post(served, **bearer(served.token), origin=f"http://{name.lower()}:{port}")

    assert found.status_code not in (401, 403)


def test_the_token_is_in_a_private_file_and_nowhere_else(served: Served) -> None:
    folder = networks.Network("dev", served.token_file.parent).folder
    argv = Path(f"/proc/{served.process.pid}/cmdline").read_text()

    assert stat.S_IMODE(served.token_file.stat().st_mode) == 0o600
    assert token_in(folder) == (served.token, served.token_file)
    assert len(served.token) >= 43
    assert served.token not in argv + "".join(served.said)


def test_it_listens_on_the_loopback_only(served: Served) -> None:
    port = urlsplit(served.url).port
    assert port is not None
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    places = {row[1] for row in rows if row[1].endswith(f":{port:04X}")}

    assert "0100007F:" + f"{port:04X}" in places
    assert not any(place.startswith("00000000:") for place in places)
    with pytest.raises(PortInUse, match="choose another port"):
        listen(port)


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
def test_it_ends_at_once_though_a_client_still_waits(
    bus: Path, at_home: None, era: str
) -> None:
    """With exit code 0 and nothing said, which is looked at by `served_by_http`."""
    code: int | None = None
    with served_by_http("--network", "dev", "--as", "model") as served:
        with (
            suppress(ExceptionGroup, MCPError),  # the client's, whose server has gone
            model_at(served.reached(), era) as model,
            model.subscribed("ipcbus://inbox"),
        ):
            model.begin("wait", timeout_s=50)
            model.call("status")
            served.process.send_signal(signal.SIGINT)
            code = served.process.wait(WAIT_S)
        assert code == 0


# --- clients of one server ---------------------------------------------------


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
def test_a_call_of_one_client_acks_nothing_that_another_was_shown(
    served: Served, peer: Peer, era: str
) -> None:
    bob = peer("bob")
    with (
        model_at(served.reached(), era, "one") as one,
        model_at(served.reached(), era, "other") as other,
    ):
        one.call("status")
        id_ = bob.send("model", f"for one of them, {era}").id
        assert one.call("wait", timeout_s=5)["messages"]
        other.call("status")
        assert other.call("inbox")["messages"] == []
        assert bob.show(id_).state == "waiting"

        one.call("status")
        until(lambda: bob.show(id_).state == "done")


def test_what_a_session_was_shown_comes_again_when_it_ends(
    served: Served, peer: Peer
) -> None:
    bob = peer("bob")
    with model_at(served.reached(), HANDSHAKE) as one:
        one.call("status")
        bob.send("model", "and then it went")
        assert one.call("wait", timeout_s=5)["messages"]
    with model_at(served.reached(), HANDSHAKE) as other:
        (again,) = other.call("wait", timeout_s=5)["messages"]
        other.call("status")

    assert again["seen_before"]


@pytest.fixture(scope="module")
def nameless(bus: Path) -> Iterator[Served]:
    with served_by_http("--network", "dev") as served:
        yield served


def test_clients_of_a_server_without_a_name_register_by_themselves(
    nameless: Served, at_home: None
) -> None:
    with (
        model_at(nameless.reached(), HANDSHAKE) as ann,
        model_at(nameless.reached(), HANDSHAKE) as eve,
    ):
        ann.call("profile", name="ann")
        eve.call("profile", name="eve")
        ann.call("send", to="eve", text="hello")
        (shown,) = eve.call("wait", timeout_s=5)["messages"]

    assert shown["from"] == "ann"


@pytest.mark.parametrize("era", [MODERN, HANDSHAKE])
def test_clients_that_say_by_a_header_who_they_are_are_different_agents(
    nameless: Served, at_home: None, era: str
) -> None:
    """Even two of one program, which in the modern era have no sessions."""
    with (
        model_at(nameless.reached(**{"Ipcbus-Agent": "kim"}), era) as kim,
        model_at(nameless.reached(**{"Ipcbus-Agent": "lee"}), era) as lee,
    ):
        assert kim.call("status")["agent"] == "kim"
        lee.call("send", to="kim", text=f"hello in {era}")
        (shown,) = kim.call("wait", timeout_s=5)["messages"]
        kim.call("status")

    assert shown["from"] == "lee"


def test_a_header_that_is_no_name_is_told_so(nameless: Served, at_home: None) -> None:
    with model_at(nameless.reached(**{"Ipcbus-Agent": "a b"}), MODERN) as model:
        assert model.call("status")["error"]["code"] == "invalid_address"
