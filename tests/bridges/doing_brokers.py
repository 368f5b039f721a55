"""What befalls brokers in a random world: others take over, and some wake up again."""

from __future__ import annotations

import random

from ipcbus.broker.events import Action, Received
from ipcbus.protocol.messages import (
    Accepted,
    ClientMessage,
    Credit,
    Draft,
    Send,
    Settle,
    Settled,
)
from ipcbus.protocol.pieces import runs
from tests.bridges.doing_mail import MailDoings
from tests.bridges.wires import Net
from tests.broker.harness import OPERATOR, Delivered, draft, key_of, said

MOST_PURGED = 100


class BrokerDoings(MailDoings):
    def do_broker(self, rng: random.Random) -> str:
        """Another broker takes over; agents know what they held, or do not."""
        self.note_under_way()
        name = rng.choice(list(self.nets))
        self.restart(name, told=rng.random() < 0.7)
        if rng.random() < 0.5:
            self._forget_held(name)
        return name

    def _forget_held(self, network: str) -> None:
        for key in list(self.held):
            if key[0] == network:
                del self.held[key]

    def do_usurp(self, rng: random.Random) -> str:
        """The same, but the former broker is not dead: it has only stopped."""
        name = rng.choice(list(self.nets))
        if self.nets[name].sleepers:
            return ""
        self.note_under_way()
        self.usurp(name, told=rng.random() < 0.5)
        if rng.random() < 0.5:
            self._forget_held(name)
        return name

    def do_wake(self, rng: random.Random) -> str:
        """It goes on: it reads what was said to it, or what is said to it now."""
        nets = [net for net in self.nets.values() if net.sleepers]
        if not nets:
            return ""
        net = rng.choice(nets)
        how = rng.choice(("read", "send", "ack", "fetch"))
        return f"{net.network} {how} {self._wake(rng, net, how)}"

    def _wake(self, rng: random.Random, net: Net, how: str) -> str:
        agent = rng.choice(net.agents)
        match how:
            case "send":
                self._ids += 1
                _, _, to = rng.choice(self.busy)
                return self._send_late(net, agent, draft(f"m{self._ids}", to))
            case "ack":
                held = self.held.get((net.network, agent), {})
                return self._ack_late(net, agent, [held[seq] for seq in sorted(held)])
            case "fetch":
                done = self._say_late(net, agent, Credit(net.ref(), 3, 1 << 20, 60_000))
                return "is over" if done is None else "reads"
        sleeper = net.sleepers[0]
        events = [*sleeper.unread]
        sleeper.unread.clear()
        done = net.wake(sleeper, *events)
        return "is over" if done is None else f"goes on after {len(events)}"

    def _say_late(
        self, net: Net, agent: str, message: ClientMessage
    ) -> list[Action] | None:
        peer = agent.encode()
        return net.wake(net.sleepers[0], Received(peer, key_of(agent), message))

    def _send_late(self, net: Net, agent: str, one: Draft) -> str:
        """Who hears nothing says it again, to the broker that is there."""
        self.note_sending(net.network, agent, one)
        done = self._say_late(net, agent, Send(net.ref(), [one], [b"x"]))
        if done is None:
            told = net.send(agent.encode(), one, body="x")
        else:
            answers = said(done, Accepted)
            told = answers[0].exceptions if answers else [[0, "closed", {}]]
        state = told[0][1] if told else "accepted"
        self._answered(net, agent, one, "x", state)
        return f"{agent} {one.id} -> {one.to} {state} {'again' if done is None else ''}"

    def _ack_late(self, net: Net, agent: str, mail: list[Delivered]) -> str:
        acks = runs([one.receipt for one in mail])
        done = self._say_late(net, agent, Settle(net.ref(), acks, [], [], []))
        for answer in said(done or [], Settled):
            gone = [one for one in mail if one.receipt[0] not in answer.stale]
            self.note_acked(net.network, agent, gone)
        return f"{agent} {[one.header.id for one in mail]} {done is None}"

    def do_maintain(self, rng: random.Random) -> str:
        """What a broker does when it is idle."""
        net = self.nets[rng.choice(list(self.nets))]
        net.store.begin()
        net.store.archive.maintain(net.wall, net.settings.history_ms, MOST_PURGED)
        net.store.commit()
        return net.network

    def do_dead(self, rng: random.Random) -> str:
        net = self.nets[rng.choice(list(self.nets))]
        letters = net.call(OPERATOR, "dead", 200, 0)[0]
        action = rng.choice(("replay", "drop"))
        for row in letters:
            id_ = row[6].id
            self.replayed |= {id_, f"{id_}@{net.network}"}
        net.call(OPERATOR, action, None)
        return f"{net.network} {action} {len(letters)}"
