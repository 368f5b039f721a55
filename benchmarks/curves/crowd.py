"""A child with a thousand peers that are connected and idle: `crowd.Crowd`.

Each is visited every PING_S seconds: what came is read, and a PING said. There is no
poll over thousands of sockets, whose cost would be the machine's and not the broker's.
"""

from __future__ import annotations

import json
import resource
import select
import sys
import time
from collections import deque
from typing import Any, Final

import zmq

from benchmarks.curves import raw
from benchmarks.workers import Worker
from ipcbus.protocol.limits import MAX_CREDIT_BYTES, PING_S
from ipcbus.protocol.messages import Call, Closed, Credit, Deliver, Ping, Welcome
from ipcbus.transport import keys
from ipcbus.transport.keys import KeyPair

WAVE: Final = 50
"""Handshakes under way at a time in one process."""

IN_ONE: Final = 2_500
"""Peers of one process: two descriptors each."""

TOPIC: Final = "crowd"
"""What all of them join. They do not ack what comes of it: agents work on a message
for minutes, so that all of a crowd may have one in their hands."""

HOLD_MS: Final = 3_600_000

WELCOME_S: Final = 30.0
JOIN_S: Final = 300.0


class Crowd:
    """Agents of a network, connected in several processes. More can be added."""

    def __init__(self, network: str) -> None:
        self._network = network
        self._workers: list[Worker] = []
        self._count = 0

    def grow(self, to: int) -> float:
        """Have so many connected; the seconds from the first to the last WELCOME."""
        more = to - self._count
        each = [more // 4 + (at < more % 4) for at in range(4)]
        started = []
        for count in filter(None, each):
            first, self._count = self._count, self._count + count
            given = {"network": self._network, "first": first, "count": count}
            started.append(Worker("benchmarks.curves.crowd", given))
        self._workers += started
        for worker in started:
            worker.go({"do": "register"})
        for worker in started:
            worker.hear(JOIN_S)
        for worker in started:
            worker.go({"do": "join"})
        told = [worker.hear(JOIN_S) for worker in started]
        return float(
            max(one["ended"] for one in told) - min(one["began"] for one in told)
        )

    def ping(self, times: int) -> None:
        """All of them, so many times at once, and wait for the answers."""
        for worker in self._workers:
            worker.go({"do": "ping", "times": times})
        for worker in self._workers:
            worker.hear(JOIN_S)

    def report(self) -> dict[str, int]:
        """How many are alive, and deliveries that they hold."""
        for worker in self._workers:
            worker.go({"do": "report"})
        told = [worker.hear(JOIN_S) for worker in self._workers]
        return {name: sum(one[name] for one in told) for name in ("alive", "held")}

    def close(self) -> None:
        for worker in self._workers:
            worker.__exit__(None, None, None)
        self._workers = []


# --- the child ---------------------------------------------------------------


class _Crowd:
    def __init__(self, network: str, first: int, count: int) -> None:
        self._network = network
        self._names = [f"crowd{at}" for at in range(first, first + count)]
        self._context = raw.opened(count)
        self._pairs: dict[str, KeyPair] = {}
        self._peers: deque[raw.Peer] = deque()  # the first is the next to be visited
        self._next = time.monotonic()
        self._pings = 0
        self._held = 0

    def register(self) -> dict[str, float]:
        self._pairs = raw.register(self._network, self._names)
        return {}

    def join(self) -> dict[str, float]:
        began = time.monotonic()
        for at in range(0, len(self._names), WAVE):
            wave = [self._knock(name) for name in self._names[at : at + WAVE]]
            self._await_welcome(wave)
            for peer in wave:
                peer.say(Call(1, "join", [TOPIC], b""))
                peer.say(Credit(2, 16, MAX_CREDIT_BYTES, HOLD_MS))
            self._peers += wave
            self.visit()
        return {"began": began, "ended": time.monotonic()}

    def _knock(self, name: str) -> raw.Peer:
        peer = raw.Peer(self._context, self._network, self._pairs[name])
        peer.greet()
        return peer

    def _await_welcome(self, wave: list[raw.Peer]) -> None:
        poller = zmq.Poller()
        waiting = {peer.socket: peer for peer in wave}
        for socket in waiting:
            poller.register(socket, zmq.POLLIN)
        end = time.monotonic() + WELCOME_S
        while waiting:
            if time.monotonic() > end:
                raise RuntimeError(f"{len(waiting)} of {len(wave)} were not let in")
            for socket, _ in poller.poll(100):
                waiting.pop(socket).must_hear(Welcome)
                poller.unregister(socket)
            self.visit()

    def wait(self) -> float:
        """Seconds until the next visit is due."""
        return max(0.0, self._next - time.monotonic()) if self._peers else 60.0

    def visit(self) -> None:
        """Those whose turn it is."""
        while self._peers and time.monotonic() >= self._next:
            self._next += PING_S / len(self._peers)
            self._visit(self._peers[0])
            self._peers.rotate(-1)

    def _visit(self, peer: raw.Peer) -> None:
        self._read(peer)
        self._pings += 1
        peer.say(Ping(self._pings))

    def _read(self, peer: raw.Peer) -> int:
        count = 0
        while (said := peer.hear()) is not None:
            count += 1
            if isinstance(said, Closed):
                raise RuntimeError(f"a session was ended: {said.facts}")
            if isinstance(said, Deliver):
                self._held += len(said.seqs)
        return count

    def ping(self, times: int) -> dict[str, int]:
        for peer in self._peers:
            self._read(peer)
            for number in range(times):
                peer.say(Ping(number))
        for peer in self._peers:
            answered = 0
            while answered < times and peer.socket.poll(10_000):
                answered += self._read(peer)
        self._next = time.monotonic()
        return {}

    def report(self) -> dict[str, int]:
        late = time.monotonic() - 2 * PING_S
        for peer in self._peers:
            self._read(peer)
        alive = sum(peer.heard > late for peer in self._peers)
        return {"alive": alive, "held": self._held}

    def close(self) -> None:
        for peer in self._peers:
            peer.socket.close(linger=0)
        self._context.term()


def main(network: str, first: int, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = _Crowd(network, first, count)
    keys.generate()  # fails early where there is no CURVE
    print("null", flush=True)
    while True:
        if not select.select([sys.stdin], [], [], crowd.wait())[0]:
            crowd.visit()
            continue
        line = sys.stdin.readline()
        if not line:
            break
        order: dict[str, Any] = json.loads(line)
        told = getattr(crowd, order.pop("do"))(**order)
        print(json.dumps(told), flush=True)
    crowd.close()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
