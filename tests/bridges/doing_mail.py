"""What agents do in a random world: send, read, settle, come and go."""

from __future__ import annotations

import random
from typing import Any, Final

from ipcbus.errors import NameTaken
from ipcbus.protocol.messages import Draft
from tests.bridges.grounds import AGENTS, Grounds
from tests.bridges.wires import Net
from tests.broker.harness import OPERATOR, Delivered, draft

KINDS: Final = ("inform", "request", "control", "ack")
TOPICS: Final = ("t", "t.u")

STORED: Final = ("accepted", "forwarded")
"""What a sender is told of a message that is on its way."""


class MailDoings(Grounds):
    # --- sending ---------------------------------------------------------------------

    def do_send(self, rng: random.Random) -> str:
        net, agent = self.agent(rng)
        names = [*AGENTS, "x1", "z"]
        to = f"{rng.choice(names)}@{rng.choice(list(self.nets))}"
        where = rng.random()
        if where < 0.6:
            here, agent, to = rng.choice(self.busy)
            net = self.nets[here]
        elif where < 0.8:
            to = f"#{rng.choice(TOPICS)}"
        return self._send(
            rng,
            net,
            agent,
            to,
            kind=rng.choices(KINDS, (6, 6, 1, 1))[0],
            priority=rng.choice((4, 4, 4, 4, 9)),
            flags=rng.choice((0, 0, 0, 2, 6)),
            ttl_ms=rng.choice((None, None, None, None, None, 20_000)),
        )

    def do_reply(self, rng: random.Random) -> str:
        """Now and then one does not know when to stop."""
        known = [who for who, mail in sorted(self.held.items()) if mail]
        if not known:
            return ""
        network, agent = rng.choice(known)
        mail = rng.choice(list(self.held[network, agent].values())).header
        agent = agent if rng.random() < 0.9 else rng.choice(AGENTS)
        net = self.nets[network]
        said = [
            self._send(rng, net, agent, mail.sender, kind="reply", reply_to=mail.id)
            for _ in range(rng.choice((1, 1, 1, 4)))
        ]
        return "; ".join(said)

    def _send(
        self,
        rng: random.Random,
        net: Net,
        agent: str,
        to: str,
        *,
        count: int = 0,
        size: int = 0,
        **fields: Any,
    ) -> str:
        drafts = []
        for _ in range(count or rng.choice((1, 1, 2, 5))):
            self._ids += 1
            drafts.append(draft(f"m{self._ids}", to, **fields))
            self.note_sending(net.network, agent, drafts[-1])
        body = "x" * (size or rng.choice((1, 1, 30, 600)))
        said = {row[0]: row[1] for row in net.send(agent.encode(), *drafts, body=body)}
        for at, one in enumerate(drafts):
            self._answered(net, agent, one, body, said.get(at, "accepted"))
        ids = " ".join(one.id for one in drafts)
        return f"{agent}@{net.network} -> {to} {ids} {fields} {len(body)} B {said}"

    def _answered(
        self, net: Net, agent: str, one: Draft, body: str, state: str
    ) -> None:
        """What its sender is told of a message."""
        if state not in STORED:
            self.note_not_sent(net.network, one)
            return
        way = (net.network, one.to.partition("@")[2], agent)
        assert one.kind == "reply" or way not in self._kept_in, one
        self.note_sent(net.network, agent, one)
        self.drafts.append((net.network, agent, one, body))

    def do_resend(self, rng: random.Random) -> str:
        """The answer was lost, so it is sent again; or another has the same id."""
        if not self.drafts:
            return ""
        network, agent, one, body = rng.choice(self.drafts[-20:])
        net = self.nets[network]
        if rng.random() < 0.3:
            body = f"not {body}"
            said = net.send(agent.encode(), one, body=body)
            assert [row[1] for row in said] == ["id_clash"], (one, said)
        elif (network, agent) not in self._renamed:
            said = net.send(agent.encode(), one, body=body)
            assert [row[1] for row in said if row[2].get("again")], (one, said)
            assert said[0][1] in STORED, (one, said)
        return f"{agent}@{network} {one.id} {len(body)} B"

    # --- reading ---------------------------------------------------------------------

    def do_read(self, rng: random.Random) -> str:
        net, agent = self.reader(rng)
        found = net.fetch(agent.encode(), rng.choice((1, 3, 100)))
        return f"{agent}@{net.network} {[mail.header.id for mail in found]}"

    def do_listen(self, rng: random.Random) -> str:
        """From now on mail comes by itself, as long as little of it is held."""
        net, agent = self.reader(rng)
        most, lease_s = rng.choice((1, 2, 5)), rng.choice((5.0, 60.0))
        found = net.credit(agent.encode(), most, lease_s)
        ids = [mail.header.id for mail in found]
        return f"{agent}@{net.network} {most} for {lease_s} s {ids}"

    def do_settle(self, rng: random.Random) -> str:
        net, agent = self.reader(rng)
        who = (net.network, agent)
        held = self.held.get(who, {})
        if not held:
            return ""
        seqs = rng.sample(sorted(held), rng.randint(1, len(held)))
        if rng.random() < 0.5:
            seqs = [min(held)]
        mail = [held.pop(seq) for seq in sorted(seqs)]
        how, delay_ms = rng.random(), rng.choice((0, 0, 700))
        if how < 0.55:
            self._ack(net, agent, mail)
        elif how < 0.75:
            self._release(net, agent, mail)
        else:
            self._nack(net, agent, mail, delay_ms)
        return f"{agent}@{net.network} {how:.2f} {[m.header.id for m in mail]}"

    def _ack(self, net: Net, agent: str, mail: list[Delivered]) -> None:
        stale = net.settle(agent.encode(), acks=[one.receipt for one in mail])
        gone = [one for one in mail if one.receipt[0] not in stale]
        self.note_acked(net.network, agent, gone)

    def _release(self, net: Net, agent: str, mail: list[Delivered]) -> None:
        seqs = [one.receipt[0] for one in mail]
        self.note_released((net.network, agent), seqs)
        net.settle(agent.encode(), releases=[one.receipt for one in mail])

    def _nack(self, net: Net, agent: str, mail: list[Delivered], delay_ms: int) -> None:
        who, seqs = (net.network, agent), [one.receipt[0] for one in mail]
        (self.note_over if delay_ms else self.note_refused)(who, seqs)
        nacks = [[*one.receipt, delay_ms, None] for one in mail]
        net.settle(agent.encode(), nacks=nacks)

    def do_late(self, rng: random.Random) -> str:
        """An ack of what was given out again since: it is too late."""
        net, agent = self.agent(rng)
        held = self.held.get((net.network, agent), {})
        late = [
            receipt
            for receipt in self.outdated.pop((net.network, agent), [])
            if receipt[0] in held and held[receipt[0]].receipt != receipt
        ]
        for receipt in late:
            assert net.settle(agent.encode(), acks=[receipt]) == [receipt[0]], receipt
        return f"{agent}@{net.network} {late}"

    # --- who is there ----------------------------------------------------------------

    def do_lose(self, rng: random.Random) -> str:
        """The session of an agent is lost; it knows what it held, and may ack it."""
        net, agent = self.agent(rng)
        self.lose(net.network, agent)
        return f"{agent}@{net.network}"

    def do_rename(self, rng: random.Random) -> str:
        net, agent = self.agent(rng)
        new = rng.choice((agent, f"{agent}1"))
        there = {row[0] for row in net.call(OPERATOR, "agents", 0)[0]}
        if new in there:
            return ""
        try:
            net.call(agent.encode(), "rename", None, new)
        except (AssertionError, NameTaken):
            return "refused"
        self._kept_in = {
            one for one in self._kept_in if one[::2] != (net.network, agent)
        }
        self._renamed.add((net.network, agent))
        return f"{agent}@{net.network} {new}"
