"""What ZeroMQ alone does here: DEALER -> ROUTER -> DEALER in plain pyzmq.

The relay forwards each message, confirms it to its sender, and swallows the ack of
the receiver: the same four messages as on the bus, but no batches, no store, no
checks. Encrypted without asking who it is.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from typing import Any

import zmq

from benchmarks.bus import ANSWER_S, SHARED_BY, in_threads, summed
from benchmarks.cases import END, NO_TIME, SAMPLE_EVERY, Case, stamp, stamped
from benchmarks.figures import percentile
from benchmarks.workers import Worker, serve

Socket = zmq.Socket[bytes]
NOBLOCK = int(zmq.NOBLOCK)
MORE = int(zmq.SNDMORE)


class Relay:
    """One case's relay and its peers."""

    def __init__(self, case: Case) -> None:
        self._stack = ExitStack()
        public, secret = zmq.curve_keypair()
        port = _free_port()
        common: dict[str, Any] = {
            "endpoint": f"tcp://127.0.0.1:{port}",
            "case": case,
            "server": None if case.plain else public.decode(),
        }
        try:
            told = {**common, "role": "relay", "secret": secret.decode(), "numbers": []}
            self._relay = self._worker(told)
            self._receivers = self._workers(common, "receive", case.pairs)
            self._senders = self._workers(common, "send", case.pairs)
        except BaseException:
            self.close()
            raise

    def _worker(self, given: dict[str, Any]) -> Worker:
        return self._stack.enter_context(Worker("benchmarks.relay", given))

    def _workers(self, common: dict[str, Any], role: str, pairs: int) -> list[Worker]:
        numbers = list(range(pairs))
        return [
            self._worker(
                {**common, "role": role, "numbers": numbers[at : at + SHARED_BY]}
            )
            for at in range(0, pairs, SHARED_BY)
        ]

    def round(self, seconds: float) -> dict[str, float]:
        workers = self._receivers + self._senders
        self._relay.go({"seconds": seconds})
        for worker in workers:
            worker.go({"seconds": seconds})
        told = [worker.hear(seconds + ANSWER_S) for worker in workers]
        self._relay.hear(ANSWER_S)
        received, sent = told[: len(self._receivers)], told[len(self._receivers) :]
        count = sum(one["count"] for one in sent)
        took = max(one["ended"] for one in told) - min(one["began"] for one in sent)
        confirm = [ns for one in sent for ns in one["samples"]]
        arrive = [ns for one in received for ns in one["samples"]]
        return {
            "rate": count / took,
            "confirm_p50_us": percentile(confirm, 0.5) / 1000,
            "arrive_p50_us": percentile(arrive, 0.5) / 1000,
        }

    def close(self) -> None:
        self._stack.close()


def _free_port() -> int:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        return int(socket.bind_to_random_port("tcp://127.0.0.1"))


# --- the children ------------------------------------------------------------


def relay(context: zmq.Context[Socket], given: dict[str, Any]) -> None:
    pairs = given["case"][0]
    socket = context.socket(zmq.ROUTER)
    socket.sndhwm = socket.rcvhwm = socket.linger = 0
    if given["server"]:
        socket.curve_server = True
        socket.curve_secretkey = given["secret"].encode()
    socket.bind(given["endpoint"])
    serve(lambda order: _forward(socket, pairs))
    socket.close()


def _forward(socket: Socket, pairs: int) -> None:
    """Until as many receivers as there are have said that they got all."""
    recv, send = socket.recv, socket.send
    left = pairs
    while left:
        socket.poll()
        try:
            while True:
                sender = recv(NOBLOCK)
                to = recv()
                body = recv()
                if to:
                    send(to, MORE)
                    send(sender, MORE)
                    send(body)
                    send(sender, MORE)
                    send(b"", MORE)
                    send(b"")
                elif body == END:
                    left -= 1
        except zmq.Again:
            continue


def _send_round(
    socket: Socket, to: bytes, case: Case, seconds: float
) -> dict[str, Any]:
    filler, window = bytes(case.size - 8), case.flying
    body, samples = NO_TIME + filler, []
    recv, send = socket.recv, socket.send
    began = time.monotonic()
    end, count, answered = began + seconds, 0, 0
    sampled: dict[int, int] = {}
    every = 1 if window == 1 else SAMPLE_EVERY

    def confirmed() -> None:
        nonlocal answered
        recv()
        recv()
        answered += 1
        at = sampled.pop(answered, None)
        if at is not None:
            samples.append(time.monotonic_ns() - at)

    while time.monotonic() < end:
        while count - answered >= window:
            confirmed()
        count += 1
        send(to, MORE)
        if count % every:
            send(body)
        else:
            sampled[count] = at = time.monotonic_ns()
            send(stamp(at) + filler)
    while answered < count:
        confirmed()
    send(to, MORE)
    send(END)
    recv()
    recv()
    return {
        "count": count,
        "began": began,
        "ended": time.monotonic(),
        "samples": samples,
    }


def _receive_round(socket: Socket) -> dict[str, Any]:
    recv, send = socket.recv, socket.send
    began, count, samples = time.monotonic(), 0, []
    while True:
        recv()
        body = recv()
        send(b"", MORE)
        if body == END:
            send(END)
            break
        send(b"")
        count += 1
        if body[:8] != NO_TIME:
            samples.append(time.monotonic_ns() - stamped(body))
    return {
        "count": count,
        "began": began,
        "ended": time.monotonic(),
        "samples": samples,
    }


def _connect(context: zmq.Context[Socket], given: dict[str, Any], name: str) -> Socket:
    socket = context.socket(zmq.DEALER)
    socket.sndhwm = socket.rcvhwm = socket.linger = 0
    socket.routing_id = name.encode()
    if given["server"]:
        socket.curve_serverkey = given["server"].encode()
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.connect(given["endpoint"])
    return socket


def main(given: dict[str, Any]) -> None:
    context: zmq.Context[Socket] = zmq.Context()
    role, numbers, case = given["role"], given["numbers"], Case(*given["case"])
    if role == "relay":
        relay(context, given)
        return
    mine = "s" if role == "send" else "r"
    sockets = {n: _connect(context, given, f"{mine}{n}") for n in numbers}

    def work(order: dict[str, Any]) -> dict[str, Any]:
        cpu = time.process_time()
        results: list[dict[str, Any]] = []

        def one(number: int) -> None:
            if role == "send":
                to = f"r{number}".encode()
                results.append(_send_round(sockets[number], to, case, order["seconds"]))
            else:
                results.append(_receive_round(sockets[number]))

        in_threads(one, numbers)
        return summed(results, time.process_time() - cpu)

    serve(work)
    for socket in sockets.values():
        socket.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
