"""A TCP proxy on the way to a broker, which cuts, swallows and delays."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

UP, DOWN = "up", "down"
"""From who connects to who is connected to, and back."""

PIECE = 64 * 1024


class Proxy:
    """Passes on what comes to `endpoint`, to `host:port`, as it is told to.

    What one way swallows is not lost but waits, as in a network that drops packets:
    TCP sends them again.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open = {UP: threading.Event(), DOWN: threading.Event()}
        self._delay_s = 0.0
        self._refusing = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self.heal()
        self._threads[0].start()

    # --- what it is told -------------------------------------------------------------

    def cut(self, *, refuse: bool = True) -> None:
        """End all connections; with `refuse`, and all new ones."""
        self._refusing = refuse
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def swallow(self, *ways: str) -> None:
        """Let nothing more through, and say nothing of it."""
        for way in ways:
            self._open[way].clear()

    def delay(self, seconds: float) -> None:
        """Let each piece wait."""
        self._delay_s = seconds

    def heal(self) -> None:
        self._refusing, self._delay_s = False, 0.0
        for gate in self._open.values():
            gate.set()

    def close(self) -> None:
        self._ended.set()
        self.heal()
        self._listening.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listening.close()

    # --- the threads -----------------------------------------------------------------

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if self._refusing or self._ended.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            pair = threading.Semaphore(0)
            with self._lock:
                self._sockets |= {near, far}
            for way, source, sink in ((UP, near, far), (DOWN, far, near)):
                arguments = (way, source, sink, pair)
                thread = threading.Thread(target=self._pump, args=arguments)
                self._threads.append(thread)
                thread.start()

    def _pump(
        self,
        way: str,
        source: socket.socket,
        sink: socket.socket,
        ended: threading.Semaphore,
    ) -> None:
        """Pass on one way of a connection until it ends; the second to end closes."""
        try:
            while piece := source.recv(PIECE):
                if self._delay_s:
                    self._ended.wait(self._delay_s)
                self._open[way].wait()
                sink.sendall(piece)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        if ended.acquire(blocking=False):
            with self._lock:
                self._sockets -= {source, sink}
            source.close()
            sink.close()
        else:
            ended.release()


@contextlib.contextmanager
def proxy(endpoint: str) -> Iterator[Proxy]:
    """A proxy on the way to `tcp://host:port`."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    made = Proxy(host, int(port))
    try:
        yield made
    finally:
        made.close()
