"""An old program, written from what is known of the protocol: a socket, one send, one
recv. And the door that it talks to, as a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipcbus
from ipcbus.networks import Network
from tests.bridges.town import Home, new_home
from tests.faults.crew import PROJECT
from tests.waiting import until

HOST = "127.0.0.1"
OLD_BUFFER = 65536
OLD_TIMEOUT_S = 5.0
"""How long an old program waits for an answer."""

PATIENCE_S = 30.0
"""The same here, where a machine may be busy with other tests."""

TRY_AGAIN = "please try again"
NETWORK = "dev"

Answer = dict[str, Any]


def ask(port: int, request: Answer | bytes) -> Answer:
    """One request of an old program, and what its single `recv` gives."""
    with connected(port) as sock:
        raw = request if isinstance(request, bytes) else json.dumps(request).encode()
        sock.sendall(raw)
        return answer_of(sock)


def answer_of(sock: socket.socket) -> Answer:
    found = json.loads(sock.recv(OLD_BUFFER).decode())
    assert isinstance(found, dict)
    return found


def connected(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=PATIENCE_S)


class Old:
    """One instance. `token` is what its scripts keep in a file."""

    def __init__(self, port: int, name: str, secret: str = "") -> None:
        self.port = port
        self.name = name
        self.token = ""
        self._secret = secret

    def register(self, **more: Any) -> Answer:
        proof = hashlib.sha256(f"{self.name}:{self._secret}".encode()).hexdigest()
        auth = {"auth_token": proof if self._secret else ""}
        request = {"action": "register", "instance_id": self.name, **auth, **more}
        answer = ask(self.port, request)
        self.token = answer.get("session_token", self.token)
        return answer

    def __call__(self, action: str, **fields: Any) -> Answer:
        return ask(self.port, self.request(action, **fields))

    def request(self, action: str, **fields: Any) -> Answer:
        return {"action": action, "session_token": self.token, **fields}

    def send(self, to: str, content: str, **message: Any) -> Answer:
        said = {"content": content, **message}
        return self("send", from_id=self.name, to_id=to, message=said)

    def broadcast(self, content: str) -> Answer:
        return self("broadcast", from_id=self.name, message={"content": content})

    def check(self) -> list[Answer]:
        answer = self("check", instance_id=self.name)
        assert answer["status"] == "ok", answer
        return list(answer["messages"])

    def contents(self) -> list[str]:
        return [one["message"]["content"] for one in self.check()]

    def rename(self, new: str) -> Answer:
        return self("rename", old_id=self.name, new_id=new)


class Door:
    """The process of a door to `dev` in `home`."""

    def __init__(
        self, home: Home, *options: str, secret: str = "", limit: int = 0
    ) -> None:
        self.home = home
        self._options = options
        self._secret = secret
        self._limit = limit
        self.port = 0
        self.begin()

    def begin(self) -> None:
        """Start it; again on the port that it had."""
        fd, name = tempfile.mkstemp(prefix="door-", dir=self.home.folder)
        self._log = Path(name)
        command = ("bridge", "claude-ipc", NETWORK, "--port", str(self.port))
        bound = ("sh", "-c", f'ulimit -n {self._limit}; exec "$@"', "sh")
        self.process = subprocess.Popen(
            [
                *(bound if self._limit else ()),
                *(sys.executable, "-u", "-m", "ipcbus", *command, *self._options),
            ],
            stdout=fd,
            stderr=subprocess.STDOUT,
            env=self._environment(),
        )
        os.close(fd)
        until(lambda: self._port() is not None, "the door runs")
        self.port = self._port() or 0

    def _environment(self) -> dict[str, str]:
        more = {"IPC_SHARED_SECRET": self._secret} if self._secret else {}
        path = f"{PROJECT}{os.pathsep}{PROJECT / 'bridges'}"
        home = str(self.home.folder)
        return {**os.environ, "PYTHONPATH": path, "IPCBUS_HOME": home, **more}

    def _port(self) -> int | None:
        assert self.process.poll() is None, self.said()
        found = re.search(rf"\({HOST}:(\d+)\) -> {NETWORK}: running", self.said())
        return int(found[1]) if found else None

    def said(self) -> str:
        return self._log.read_text()

    def old(self, name: str) -> Old:
        """An old instance that is not registered."""
        return Old(self.port, name, self._secret)

    def registered(self, name: str) -> Old:
        old = self.old(name)

        def is_in() -> bool:
            answer = old.register()
            busy = TRY_AGAIN in answer.get("message", "")
            assert busy or answer["status"] == "ok", answer
            return not busy

        until(is_in, f"{name} is registered")
        return old

    @property
    def network(self) -> Network:
        return self.home.network(NETWORK)

    def client(self, agent: str) -> ipcbus.Client:
        """An agent of the new side."""
        with self.home.inside():
            return ipcbus.connect(NETWORK, agent=agent)

    def command(self, *options: str) -> int:
        """`ipcbus bridge claude-ipc dev ...` that ends by itself; how."""
        words = ("-m", "ipcbus", "bridge", "claude-ipc", NETWORK, *options)
        done = subprocess.run(
            [sys.executable, *words],
            env=self._environment(),
            capture_output=True,
            timeout=30,
            check=False,
        )
        return done.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ask it to end; it must, in order."""
        self.process.terminate()
        assert self.process.wait(10) == 0, self.said()


@contextlib.contextmanager
def new_door(*options: str, secret: str = "", limit: int = 0) -> Iterator[Door]:
    """A door in a home of its own, with a broker. `limit`: descriptors it may have."""
    with new_home() as home:
        home.start(home.network(NETWORK))
        door = Door(home, *options, secret=secret, limit=limit)
        try:
            yield door
        finally:
            door.kill()
