"""An invitation is for one key: of many who hold the same line at the same moment one
comes in, and the others get neither the name nor anything else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq
from zmq.utils.z85 import decode

import ipcbus
from ipcbus.client import invitations
from ipcbus.protocol import limits
from ipcbus.protocol.messages import Answer, Call, Closed, Hello, RefusedCall
from ipcbus.transport.keys import KeyPair, generate, z85
from tests.transport.members import Members
from tests.transport.peers import Peer

pytestmark = pytest.mark.security

RACERS = 8


def redeem(peer: Peer, key: str) -> bool:
    """Whether it was taken. Who comes too late may be cut before it hears so."""
    try:
        peer.say(Call(1, "redeem", [key], b""))
        while (heard := peer.listen(2.0)) is not None:
            if isinstance(heard, (Answer, RefusedCall)):
                return isinstance(heard, Answer)
    except zmq.Again:
        pass
    return False


def test_of_many_who_use_it_at_once_one_comes_in(people: Members) -> None:
    with ipcbus.connect("dev", agent="") as operator:
        secret = invitations.read(invitations.invite(operator, "carol", 60)).secret
        once = KeyPair(decode(zmq.curve_public(z85(secret))).hex(), secret)
        racers = [people.peer(once) for _ in range(RACERS)]
        for racer in racers:
            racer.hello()
        pairs = [generate() for _ in racers]
        publics = [pair.public for pair in pairs]

        with ThreadPoolExecutor(RACERS) as pool:
            came_in = list(pool.map(redeem, racers, publics))

        assert came_in.count(True) == 1
        winner = pairs[came_in.index(True)]
        known = operator.keys()
        live = [row.key for row in known if (row.name, row.state) == ("carol", "live")]
        assert [winner.public.startswith(key) for key in live] == [True]
    assert people.peer(winner).hello().agent == "carol"
    loser = people.peer(next(pair for pair in pairs if pair is not winner))
    assert loser.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400
    late = people.peer(once)
    late.say(Hello(limits.MAJOR, limits.MINOR, 0, "test"))
    assert late.wait_for(Closed).code == "not_permitted"
