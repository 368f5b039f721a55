"""A network that is put back to an older state, or of which a copy runs beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ipcbus.protocol.messages import Call, RefusedCall
from ipcbus.store.base import Store
from ipcbus.store.sqlite import SqliteStore
from ipcbus.store.sqlite.offline import adopt
from tests.bridges.cluster import Cluster, texts
from tests.bridges.telling import flow, told
from tests.bridges.wires import Net, Wire
from tests.broker.harness import OPERATOR, key_of, only

PEOPLE = ("alice@dev", "bob@prod")
TAKEOVERS = 40


class Archive(Cluster):
    """dev and prod on disk, which can be backed up and restored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies: dict[str, Path] = {}
        super().__init__("dev", "prod", make=self._make, reopen=self._reopen)
        self.people(*PEOPLE)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def _make(self, name: str) -> Store:
        return SqliteStore(self._path(name), network=name, ballast=None)

    def _reopen(self, name: str, store: Store) -> Store:
        store.close()
        copy = self._copies.pop(name, None)
        if copy is not None:
            adopt(copy, self._path(name))
        return self._make(name)

    def back_up(self, name: str) -> Path:
        self._ids += 1
        target = self._folder / f"{name}-{self._ids}.backup"
        list(self.nets[name].store.backup(target))
        return target

    def restore(self, name: str, copy: Path) -> None:
        self._copies[name] = copy
        self.restart(name)

    def second(self, name: str, copy: Path) -> Net:
        """Another broker of a network, on a copy of its database."""
        path = self._folder / "second.db"
        shutil.copyfile(copy, path)
        path.chmod(0o600)

        def make(name: str) -> Store:
            return SqliteStore(path, network=name, ballast=None)

        def again(name: str, store: Store) -> Store:
            store.close()
            return make(name)

        net = Cluster(name, make=make, reopen=again).nets[name]
        net._hear = self._hear  # it lives in this one
        self.nets[f"second {name}"] = net
        return net


@pytest.fixture
def town(tmp_path: Path) -> Any:
    made = Archive(tmp_path)
    yield made
    made.close()


def take_over(town: Cluster, wire: Wire, times: int) -> None:
    """Its ends are lost so often; each time it leads anew, and carries a message."""
    for _ in range(times):
        wire.cut()
        wire.heal()
        flow(town, "bob@prod", "between")
        town.run()
        assert texts(town.read("bob@prod"))[-1:] == ["between"]


def came(town: Cluster) -> dict[str, int]:
    found: dict[str, int] = town.described("prod", "dev")["came"]
    return found


def test_a_restored_source_hands_over_again_what_is_there_and_nothing_is_doubled(
    town: Archive,
) -> None:
    """Mail that waited when the backup was made has arrived and been read since."""
    there, _ = town.bridge("dev", "prod")
    there.cut()
    flow(town, "bob@prod", "1", "2", "3")
    copy = town.back_up("dev")
    there.heal()
    town.run()
    flow(town, "bob@prod", "4")
    town.run()
    assert texts(town.read("bob@prod")) == ["1", "2", "3", "4"]
    town.restore("dev", copy)
    town.run()
    flow(town, "bob@prod", "5")
    town.pass_time(3)
    assert texts(town.read("bob@prod")) == ["5"]
    assert (came(town)["accepted"], came(town)["duplicate"]) == (5, 3)
    assert town.read("alice@dev") == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_restored_source_leads_at_once_however_often_it_was_led_since(
    town: Archive, times: int
) -> None:
    """The destination has seen a much higher epoch of the link than the backup knows;
    one that was reached by single steps would be refused for as many seconds."""
    there, _ = town.bridge("dev", "prod")
    copy = town.back_up("dev")
    for n in range(times):
        take_over(town, there, TAKEOVERS)
        town.restore("dev", copy)
        town.run()
        assert there.state == "running"
        flow(town, "bob@prod", str(n))
        town.pass_time(2)
        assert there.state == "running"
        assert texts(town.read("bob@prod")) == [str(n)]


def test_a_restored_source_leads_also_where_the_old_database_is_gone(
    town: Archive, tmp_path: Path
) -> None:
    there, _ = town.bridge("dev", "prod")
    copy = town.back_up("dev")
    take_over(town, there, TAKEOVERS)
    town.nets["dev"].store.close()
    (tmp_path / "dev.db").unlink()
    town.restore("dev", copy)
    flow(town, "bob@prod", "1")
    town.pass_time(2)
    assert there.state == "running"
    assert texts(town.read("bob@prod")) == ["1"]


def test_a_restored_destination_goes_on_and_gets_once_what_was_not_settled(
    town: Archive,
) -> None:
    """What it had taken since the backup, and the source knows to be there, is lost
    with the newer state: that is what restoring means. No more than that is."""
    there, back = town.bridge("dev", "prod")
    flow(town, "bob@prod", "1")
    town.run()
    assert texts(town.read("bob@prod")) == ["1"]
    copy = town.back_up("prod")
    flow(town, "bob@prod", "2")
    town.run()
    there.destination.held_down = True
    flow(town, "bob@prod", "3")
    town.run()
    there.destination.held_down = False
    town.restore("prod", copy)
    flow(town, "bob@prod", "4")
    town.pass_time(2)
    assert (there.state, back.state) == ("running", "running")
    assert texts(town.read("bob@prod")) == ["3", "4"]
    assert town.read("alice@dev") == []


def test_of_a_copy_that_runs_beside_it_nothing_is_doubled_or_lost(
    town: Archive,
) -> None:
    """Two brokers of dev, each with a bridge of its own, which has the same key."""
    there, _ = town.bridge("dev", "prod")
    there.cut()
    flow(town, "bob@prod", "1", "2")
    second = town.second("dev", town.back_up("dev"))
    second.join_up("alice")
    second.agents.append("alice")
    twin = Wire("twin", second, town.nets["prod"], there.rules)
    town.wires.append(twin)
    there.heal()
    town.run()
    assert texts(town.read("bob@prod")) == ["1", "2"]
    take_over(town, there, 3)  # so their epochs are not the same
    for n in range(3, 9):
        sender = "alice@dev" if n % 2 else "alice@second dev"
        town.send(sender, "bob@prod", as_=f"id{n}", body=str(n))
        town.pass_time(3)
    assert {there.state, twin.state} == {"running"}
    found = texts(town.read("bob@prod"))
    assert [body for body in found if body in "357"] == ["3", "5", "7"]
    assert [body for body in found if body in "468"] == ["4", "6", "8"]
    assert came(town)["accepted"] == 8 + 3
    assert came(town)["duplicate"] == 2


def test_two_copies_that_give_one_id_to_two_messages_have_one_refused(
    town: Archive,
) -> None:
    there, _ = town.bridge("dev", "prod")
    second = town.second("dev", town.back_up("dev"))
    second.join_up("alice")
    second.agents.append("alice")
    town.wires.append(Wire("twin", second, town.nets["prod"], there.rules))
    town.run()
    town.send("alice@dev", "bob@prod", as_="order-1", body="buy")
    town.pass_time(2)
    town.send("alice@second dev", "bob@prod", as_="order-1", body="sell")
    town.pass_time(2)
    assert texts(town.read("bob@prod")) == ["buy"]
    assert town.read("alice@dev") == []
    assert told(town.read("alice@second dev")) == [("bounce", "5.7.7")]


def test_a_copy_under_another_name_is_not_bridged_to_what_it_was_copied_from(
    town: Archive,
) -> None:
    """Its id is the same: mail would go round."""
    town.bridge("dev", "prod")
    copied = town.second("dev", town.back_up("dev"))
    dev = town.nets["dev"]
    dev.call(OPERATOR, "link", "copy", key_of("@copy"), "in")
    bridge = b"bridge/1"
    dev.hello(bridge, key_of("@copy"))
    id_ = copied.broker._links.network_id
    said = only(
        dev.say(bridge, Call(1, "meet", [id_], b""), key_of("@copy")), RefusedCall
    )
    assert said.code == "not_permitted"
    assert "copy is this network itself" in str(said.facts)
