"""Names that look like others, or like patterns: none gets round a rule, a grant or the
owner of a name.

A name is ASCII by its grammar, so the work is to show that everything that takes one
holds to it: raw frames and calls to a real broker, the command line, files of rules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ipcbus
from ipcbus import networks
from ipcbus.broker import grants
from ipcbus.errors import ConfigError, InvalidMessage, IpcbusError
from ipcbus.networks import BrokerInfo
from ipcbus.protocol.messages import Accepted, Closed
from ipcbus.transport.keys import generate
from ipcbus_bridges.rules import LinkRules, parse_short
from tests.bridges.test_rules import MAIL, link
from tests.doors.cli.conftest import Call, Run
from tests.transport.members import Members, take
from tests.transport.peers import send

pytestmark = pytest.mark.security

PATTERNS = ["*", "b*b", "bo?", "[b]ob", "b{o}b", "bob,eve", "bob|eve", "!bob"]
SIGNS = [
    "bob@",
    "@bob",
    "#bob",
    "bob@dev@dev",
    "bob#dev",
    "bob/../eve",
    "../bob",
    "~bob",
]
LIKENESSES = {
    "cyrillic": "b\u043eb",
    "full-width": "\uff42\uff4f\uff42",
    "kelvin, which folds to k": "\u212aate",
    "long s, which folds to s": "\u017fam",
    "dotless i": "\u0131an",
    "mathematical": "\U0001d41b\U0001d428\U0001d41b",
    "combining": "bo\u0301b",
    "zero width": "b\u200bob",
    "turned": "\u202ebob",
    "soft hyphen": "bo\u00adb",
}
SPACES = [
    "bob ",
    " bob",
    "bob\n",
    "bob\t",
    "bob\0",
    "b ob",
    "bob\u00a0",
    "bob\x1b[2J",
    "",
]
ODD = [*PATTERNS, *SIGNS, *LIKENESSES.values(), *SPACES]
REFUSALS = ("invalid_address", "unknown_recipient", "no_route", "invalid_message")
VICTIMS = ("bob", "kate", "sam", "ian")
UNWRITABLE = [n for n in ODD if "*" not in n and n == n.strip() and n != "#bob"]
"""A rule may have a pattern, a topic, and spaces between its words."""
NAMED = ("register", "invite", "revoke", "limit", "pause", "rename", "link", "steer")


def arguments(call: str, name: str) -> list[Any]:
    key = generate().public
    found: dict[str, list[Any]] = {
        "register": [name, key],
        "invite": [name, key, 60_000],
        "revoke": [name],
        "limit": [name, 1, 1],
        "pause": [name],
        "rename": ["bob", name],
        "link": [name, key, "both"],
        "steer": [name, "pause"],
    }
    return found[call]


@pytest.fixture
def operator(broker: BrokerInfo) -> Any:
    with ipcbus.connect("dev", agent="") as client:
        for name in VICTIMS:
            client.call("register", name, generate().public)
        yield client


def names(operator: ipcbus.Client) -> set[str]:
    return {each.name for each in operator.agents()}


# --- names and addresses at a broker -----------------------------------------------


@pytest.mark.parametrize("call", NAMED)
def test_a_call_takes_no_name_that_is_like_another(
    call: str, operator: ipcbus.Client
) -> None:
    before = {(row.name, row.key, row.state) for row in list(operator.keys())}
    for odd in (name for name in ODD if name != "@bob"):  # of a bridge, and means it
        with pytest.raises(IpcbusError) as raised:
            operator.call(call, *arguments(call, odd))
        assert raised.value.code != "failed", f"{odd!r}: {raised.value}"
    assert names(operator) == set(VICTIMS)
    assert {(row.name, row.key, row.state) for row in list(operator.keys())} == before
    assert operator.status()["paused"] == {"network": False, "agents": []}


def test_mail_to_a_name_like_another_goes_to_nobody(people: Members) -> None:
    """Raw frames: no client has looked at the address before."""
    pair, bob = people.register("mallory"), people.agent("bob")
    for name in ("kate", "sam", "ian"):
        people.register(name)
    mallory = people.peer(pair)
    mallory.hello()
    odd = [to for to in ODD if to not in ("*", "#bob")]  # everyone, and a topic
    for number, to in enumerate(odd, 2):
        mallory.say(send(number, to, b"to one like you"))
        heard = mallory.hear()
        if isinstance(heard, Closed):  # it is not even a text that an address may be
            mallory = people.peer(pair)
            mallory.hello()
            continue
        assert isinstance(heard, Accepted)
        assert heard.exceptions[0][1] in REFUSALS, f"{to!r}: {heard}"
    bob.say(send(1, "BOB", b"mark"))
    bob.wait_for(Accepted)
    assert take(bob).bodies == [b"mark"]


def test_a_name_in_other_letters_is_the_same_and_taken(operator: ipcbus.Client) -> None:
    for name in ("BOB", "Bob", "boB"):
        with pytest.raises(ipcbus.IpcbusError) as raised:
            operator.call("register", name, generate().public)
        assert raised.value.code == "name_taken"


def test_a_network_or_agent_that_is_like_another_is_not_opened(
    run: Run, call: Call, broker: BrokerInfo, home: Path
) -> None:
    call("register", "bob")
    for odd in ("../bob", "bob\n", *list(LIKENESSES.values())[:2]):
        done = run("check", "--as", odd, "--network", "dev", "--json")
        assert (done.code, done.json["error"]["code"]) == (2, "invalid_address"), odd
    for odd in ("../dev", "d\u0435v"):
        done = run("check", "--as", "bob", "--network", odd, "--json")
        assert done.code in (2, 4), done
    assert [network.name for network in networks.networks()] == ["dev"]
    keys = {path.name for path in (home / "networks" / "dev").rglob("*.key")}
    assert keys == {"server.key", "operator.key", "bob.key"}


# --- rules and grants -----------------------------------------------------------


def passes(rules: LinkRules, sender: str, to: str) -> bool:
    return rules.decide(MAIL._replace(sender=sender, to=to)).carry


@pytest.mark.parametrize("odd", ODD)
def test_no_odd_sender_or_receiver_passes_where_the_right_one_may(odd: str) -> None:
    """Nor one that a deny would hold, if it were spelt as it is meant."""
    rules = link("bob -> kate", "* -> sam")
    assert passes(rules, "bob@dev", "kate@prod")
    assert not passes(rules, f"{odd}@dev", "kate@prod")
    assert not passes(rules, f"{odd}@dev", "sam@prod")
    assert not passes(rules, "bob@dev", f"{odd}@prod")
    assert not passes(rules, f"bob@{odd}", "kate@prod")


@pytest.mark.parametrize("name", ["BOB", "Bob", "boB"])
def test_case_gets_nobody_past_a_deny(name: str) -> None:
    rules = link("* -> *", never="bOb -> *")
    assert passes(rules, "eve@dev", "kate@prod")
    for sender in (f"{name}@dev", f"{name}@DEV"):
        assert not passes(rules, sender, "kate@prod")
    grant = grants.parse_all(["deny bOb -> *", "allow * -> *"], "dev", "prod")
    assert not grants.decide(grant, f"{name}@Dev", "kate@prod")[0]


@pytest.mark.parametrize("odd", UNWRITABLE)
def test_a_rule_or_grant_cannot_be_written_with_one(odd: str) -> None:
    """What would never match, or more than it seems to, is told at once."""
    with pytest.raises(ConfigError):
        parse_short(f"{odd} -> kate", allow=False, id="x", a="dev", b="prod")
    with pytest.raises(InvalidMessage):
        grants.parse(f"deny {odd} -> kate", "dev", "prod")
