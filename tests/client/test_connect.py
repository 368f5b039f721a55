"""From a name to a connection, or a clear word why not."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.client import invitations
from ipcbus.errors import (
    Disconnected,
    InvalidAddress,
    LocalProtocolError,
    NameTaken,
    NoBroker,
    NoNetwork,
    NotPermitted,
    UsageError,
)
from ipcbus.networks import BrokerInfo, Network, Saved
from ipcbus.transport import keys, launch
from tests.client.conftest import Connect
from tests.waiting import until


def test_a_new_name_of_the_owner_gets_a_key(
    network: Network, broker: BrokerInfo
) -> None:
    with ipcbus.connect("dev", agent="Alice") as alice:
        assert (alice.agent, alice.network) == ("Alice", "dev")
        assert alice.epoch == broker.epoch
    assert network.key_path("alice").exists()


def test_the_environment_names_network_and_agent(
    broker: BrokerInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCBUS_NETWORK", "dev")
    monkeypatch.setenv("IPCBUS_AGENT", "alice")
    with ipcbus.connect() as client:
        assert client.agent == "alice"


def test_without_a_name_it_says_how_to_give_one(broker: BrokerInfo) -> None:
    with pytest.raises(UsageError, match="IPCBUS_AGENT"):
        ipcbus.connect("dev")
    with pytest.raises(InvalidAddress):
        ipcbus.connect("dev", agent="no name")


def test_no_such_network(home: Path) -> None:
    with pytest.raises(NoNetwork, match="ipcbus up"):
        ipcbus.connect("nowhere", agent="alice")


def test_nobody_serves_and_none_may_be_started(network: Network) -> None:
    begun = time.monotonic()
    with pytest.raises(NoBroker):
        ipcbus.connect("dev", agent="alice", start=False)
    assert time.monotonic() - begun < 2


def test_a_broker_is_started_when_nobody_serves(network: Network) -> None:
    with ipcbus.connect("dev", agent="alice") as alice:
        assert alice.send("alice", "x").state == "accepted"
    assert network.is_served()


def test_clients_that_race_share_one_broker(network: Network) -> None:
    epochs: list[int] = []

    def race(number: int) -> None:
        with ipcbus.connect("dev", agent=f"agent-{number}") as client:
            epochs.append(client.epoch)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(epochs)) == 1
    assert len(epochs) == 5


def test_a_stale_broker_json_does_not_mislead(network: Network) -> None:
    info = launch.start(network)
    launch.stop(network)
    network.write_broker_info(info)  # as one that was killed leaves it
    with pytest.raises(NoBroker):
        ipcbus.connect("dev", agent="", start=False)
    with ipcbus.connect("dev", agent="alice") as alice:
        assert alice.epoch > info.epoch


def test_a_port_that_somebody_else_took_ends_in_a_timeout(network: Network) -> None:
    info = launch.start(network)
    launch.stop(network)
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        pair = keys.create(network.key_path("alice"))
        assert pair.public
        network.save(Saved(remote=endpoint, server_key=info.server_key))
        with pytest.raises(NoBroker, match="within 1 s"):
            ipcbus.connect("dev", agent="alice", timeout=1.0)


@pytest.mark.security
def test_a_server_that_is_not_the_one_we_know_gets_nothing(
    network: Network, broker: BrokerInfo
) -> None:
    keys.create(network.key_path("alice"))
    false = keys.generate().public
    network.save(Saved(remote=broker.endpoint, server_key=false))
    with pytest.raises(NoBroker):
        ipcbus.connect("dev", agent="alice", timeout=1.0)


@pytest.mark.security
def test_a_key_that_is_not_registered_is_refused_with_a_reason(
    network: Network, broker: BrokerInfo
) -> None:
    keys.create(network.key_path("mallory"))
    network.operator_key.rename(network.folder / "elsewhere")
    begun = time.monotonic()
    with pytest.raises(NotPermitted, match="does not know this key"):
        ipcbus.connect("dev", agent="mallory")
    assert time.monotonic() - begun < 3
    with pytest.raises(NotPermitted, match="operator"):
        ipcbus.connect("dev", agent="nobody")
    with pytest.raises(NotPermitted, match="operator"):
        ipcbus.connect("dev", agent="")


def test_a_key_whose_maker_died_before_it_was_registered_is_taken_up(
    network: Network, broker: BrokerInfo
) -> None:
    keys.create(network.key_path("alice"))
    with ipcbus.connect("dev", agent="alice") as alice:
        assert alice.agent == "alice"


@pytest.mark.security
def test_a_name_with_another_key_is_taken(network: Network, connect: Connect) -> None:
    connect("alice").close()
    network.key_path("alice").unlink()
    with pytest.raises(NameTaken):
        connect("alice")


@pytest.mark.security
def test_revocation_ends_the_client_and_everything_that_waits(
    connect: Connect,
) -> None:
    alice, operator = connect("alice"), connect("")
    waits: list[BaseException] = []

    def wait() -> None:
        try:
            alice.receive()
        except NotPermitted as error:
            waits.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    operator.call("revoke", "alice")
    thread.join(10)
    assert len(waits) == 1
    with pytest.raises(NotPermitted):
        alice.send("alice", "x")
    with pytest.raises(NotPermitted):
        connect("alice")


def test_a_plain_network_needs_no_keys(network: Network) -> None:
    network.save(Saved(plain=True))
    launch.start(network)
    with ipcbus.connect("dev", agent="alice") as alice:
        alice.send("alice", "x")
        assert alice.receive(timeout=5)[0].body == "x"


def test_a_forked_child_is_told_that_it_must_connect_itself(connect: Connect) -> None:
    alice = connect("alice")
    child = os.fork()
    if child == 0:  # nothing of pytest may run here
        code = 1
        try:
            alice.send("alice", "x")
        except LocalProtocolError:
            alice.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    alice.send("alice", "still there")


# --- invitations -----------------------------------------------------------------


@pytest.fixture
def line(connect: Connect) -> str:
    return invitations.invite(connect(""), "carol", 60)


@pytest.fixture
def short_line(connect: Connect) -> str:
    return invitations.invite(connect(""), "carol", 0.01)


@pytest.fixture
def elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of another machine."""
    other = home / "elsewhere"
    monkeypatch.setenv("IPCBUS_HOME", str(other))
    return other


def test_an_invitation_lets_another_machine_join(
    alice: ipcbus.Client, line: str, elsewhere: Path
) -> None:
    network = invitations.join_network(line)
    assert network.saved().remote
    assert network.folder.is_relative_to(elsewhere)
    with ipcbus.connect("dev", agent="carol") as carol:
        carol.send("alice", "hello from afar")
    assert alice.receive(timeout=5)[0].sender == "carol"


@pytest.mark.security
def test_an_invitation_works_once(line: str, elsewhere: Path) -> None:
    invitations.join_network(line)
    networks.find("dev").key_path("carol").unlink()
    with pytest.raises(NotPermitted):
        invitations.join_network(line)


@pytest.mark.security
def test_of_many_who_use_it_at_once_on_one_machine_none_spoils_the_key_of_another(
    alice: ipcbus.Client, line: str, elsewhere: Path
) -> None:
    def join(_: int) -> bool:
        try:
            invitations.join_network(line)
        except NotPermitted:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert any(pool.map(join, range(6)))
    with ipcbus.connect("dev", agent="carol") as carol:
        carol.send("alice", "hello")
    assert alice.receive(timeout=5)[0].sender == "carol"


@pytest.mark.security
def test_an_invitation_that_was_used_for_the_key_that_is_there_leaves_it(
    line: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else on this machine was faster, by a moment: the broker still lets the
    invitation's own key in, and says no to whoever would have it redeemed."""
    path = invitations.join_network(line).key_path("carol")
    before = path.read_text()

    def too_late(*_: object) -> None:
        raise NotPermitted(reason="the invitation was used")

    monkeypatch.setattr(invitations, "greeted", lambda *_: None)
    monkeypatch.setattr(invitations, "_redeem", too_late)
    with pytest.raises(NotPermitted):
        invitations.join_network(line)
    assert path.read_text() == before


@pytest.mark.security
@pytest.mark.parametrize("name", ["carol", "@prod"])
def test_who_was_revoked_and_is_invited_anew_gets_a_new_key(
    connect: Connect, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    operator = connect("")
    first = invitations.invite(operator, name, 60)
    monkeypatch.setenv("IPCBUS_HOME", str(home / "elsewhere"))
    key = invitations.join_network(first).key_path(name)
    before = key.read_text()
    operator.call("revoke", name)
    monkeypatch.setenv("IPCBUS_HOME", str(home))
    again = invitations.invite(operator, name, 60)
    monkeypatch.setenv("IPCBUS_HOME", str(home / "elsewhere"))

    invitations.join_network(again)

    assert key.read_text() != before
    known = operator.keys()
    states = {row.state for row in known if row.name == name}
    assert states == {"live", "revoked"}


@pytest.mark.security
def test_an_invitation_expires(short_line: str, elsewhere: Path) -> None:
    until(lambda: _is_refused(short_line))


def _is_refused(line: str) -> bool:
    try:
        invitations.join_network(line)
    except NotPermitted:
        return True
    return False


@pytest.mark.security
def test_an_invitation_keeps_its_secret_from_logs(line: str) -> None:
    invitation = invitations.read(line)
    assert invitation.secret not in repr(invitation)
    with pytest.raises(Exception, match="invitation") as raised:
        invitations.read(line[:-9])
    assert invitation.secret[:16] not in repr(raised.value)


@pytest.mark.parametrize("line", ["", "ipcbus1.", "ipcbus1.AAAA", "ipcbus2.x", "ä"])
def test_what_is_no_invitation_is_told_apart(line: str) -> None:
    with pytest.raises(UsageError, match="invitation"):
        invitations.read(line)


def test_a_network_of_this_machine_is_not_overwritten(line: str) -> None:
    with pytest.raises(UsageError, match="already"):
        invitations.join_network(line)


def test_only_an_operator_can_invite(alice: ipcbus.Client) -> None:
    with pytest.raises(NotPermitted):
        invitations.invite(alice, "carol")
    alice.close()
    with pytest.raises(Disconnected):
        invitations.invite(alice, "carol")
