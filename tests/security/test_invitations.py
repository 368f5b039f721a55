"""An invitation is for one key: of many who hold the same line at the same moment one
comes in, and the others get neither the name nor anything else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq
from zmq.utils.z85 import decode

import ipcbus
from ipcbus.client import invitations
from ipcbus.protocol.messages import Answer, Bye, Call, Closed, Pong, RefusedCall
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
    assert late.event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400
    for racer in racers:
        racer.event(zmq.EVENT_DISCONNECTED, bound=2.0)


def test_an_invitation_that_was_used_opens_no_connection(people: Members) -> None:
    """The gate itself refuses its key, and who came in with it before is out."""
    once, bystander = invited(people, 60_000), generate()
    waiting, used = people.peer(once), people.peer(once)
    waiting.hello()
    used.hello()

    assert redeem(used, bystander.public)

    assert waiting.wait_for(Closed).facts["reason"] == "your invitation was used"
    for peer in (waiting, used):
        peer.event(zmq.EVENT_DISCONNECTED, bound=2.0)
    assert people.peer(once).event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400
    assert people.peer(bystander).hello().agent == "carol"


def test_an_invitation_that_has_expired_opens_no_connection(people: Members) -> None:
    """Also while nobody says a word to the broker."""
    once = invited(people, 300)
    waiting = people.peer(once)
    waiting.hello()
    people.operator.say(Bye(keep_leases=False))

    waiting.event(zmq.EVENT_DISCONNECTED, bound=10.0)

    assert people.peer(once).event(zmq.EVENT_HANDSHAKE_FAILED_AUTH) == 400


def test_who_uses_an_invitation_twice_harms_nobody(people: Members) -> None:
    """Two sessions of it, one key: the second word is refused, and all goes on."""
    once, own = invited(people, 60_000), generate()
    both = [people.peer(once) for _ in range(2)]
    for peer in both:
        peer.hello()

    with ThreadPoolExecutor(2) as pool:
        came_in = list(pool.map(redeem, both, [own.public] * 2))

    assert came_in.count(True) == 1
    assert people.peer(own).hello().agent == "carol"
    people.operator.ping(7)
    assert people.operator.wait_for(Pong).number == 7


def invited(people: Members, ttl_ms: int) -> KeyPair:
    """The key of an invitation for carol."""
    once = generate()
    people.operator.say(Call(1, "invite", ["carol", once.public, ttl_ms], b""))
    people.operator.wait_for(Answer)
    return once
