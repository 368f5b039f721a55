"""The demo: two networks, three agents, a broker that is killed; what was proved.

    python -m ipcbus.doors.demo

An ordinary client of the bus, in a home of its own that is removed again. alice is
this program and speaks Python; bob is a shell, and everything it does is a command
line that is shown; carol reads in the background. What must hold is checked as it
happens and listed at the end with what was counted. Ends with 0 if all of it held,
else with 1.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import ipcbus.errors
from ipcbus import networks
from ipcbus.client.connect import connect
from ipcbus.client.message import Message, Receipt
from ipcbus.client.pending import Pending
from ipcbus.client.sync import Client
from ipcbus.errors import IpcbusError, NotPermitted, UnknownRecipient

BURST: Final = 4_000
"""Messages sent while the broker is killed: enough that it dies among them."""

KILL_AT: Final = 1_000
"""How many of them are accepted when it dies."""

WAIT_S: Final = 20.0
"""How long anything here may take."""


class Proof(NamedTuple):
    """Something that must hold, whether it did, and the numbers."""

    claim: str
    held: bool
    counts: str


class Story:
    """The transcript: who said what, when, and what it proves."""

    def __init__(self, out: TextIO) -> None:
        self.proofs: list[Proof] = []
        self._out = out
        self._began = time.monotonic()
        self._coloured = out.isatty() and not os.environ.get("NO_COLOR")

    def title(self, text: str) -> None:
        self._out.write(f"\n{self._paint(text, 1)}\n")

    def tell(self, who: str, text: str) -> None:
        seconds = f"{time.monotonic() - self._began:7.3f} s"
        self._out.write(f"{self._paint(seconds, 2)}  {who:<7} {text}\n")
        self._out.flush()

    def prove(self, claim: str, held: bool, counts: str) -> None:
        self.proofs.append(Proof(claim, held, counts))
        if not held:
            self.tell("", self._paint(f"THIS DID NOT HOLD: {claim}: {counts}", 31))

    def close(self) -> int:
        """List what was proved; the exit code."""
        self.title("What was proved")
        for claim, held, counts in self.proofs:
            mark = self._paint("yes", 32) if held else self._paint("NO ", 31)
            self._out.write(f"  {mark}  {claim}: {counts}\n")
        failed = sum(not proof.held for proof in self.proofs)
        seconds = time.monotonic() - self._began
        self._out.write(
            f"\n{len(self.proofs) - failed} of {len(self.proofs)} held, "
            f"in {seconds:.1f} s\n"
        )
        return 1 if failed or not self.proofs else 0

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text


class Shell:
    """An agent that knows nothing but the command line."""

    def __init__(self, story: Story, name: str, network: str = "") -> None:
        self._story = story
        self._name = name
        # The code that runs here, also if it is a checkout that is not installed.
        code = str(Path(ipcbus.errors.__file__).parent.parent)
        who = {"IPCBUS_AGENT": name, "IPCBUS_NETWORK": network} if network else {}
        self._env = {**os.environ, "PYTHONPATH": code, **who}

    def run(self, *args: str) -> Any:
        """Carry out `ipcbus ARGS --json`: its document. Raises if it fails."""
        shown = " ".join(repr(arg) if " " in arg else arg for arg in args)
        self._story.tell(self._name, f"$ ipcbus {shown} --json")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ipcbus", *args, "--json"],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WAIT_S,
            check=False,
        )
        if done.returncode:
            said = done.stdout.decode(errors="replace").strip()
            raise IpcbusError(reason=f"{shown}: exit code {done.returncode}: {said}")
        return json.loads(done.stdout)

    def read(self, *args: str) -> dict[str, Any]:
        """The one message that a reading command prints."""
        (message,) = self.run(*args)["messages"]
        assert isinstance(message, dict)
        self._story.tell(self._name, f"< {message['from']}: {message['body']!r}")
        return message


class Cast(NamedTuple):
    """Who is on the stage of network dev."""

    alice: Client
    bob: Shell
    carol: Client


Scene = Callable[[Story, Cast], None]


# --- the scenes --------------------------------------------------------------


def isolation(story: Story, cast: Cast) -> None:
    """A member of dev, even its operator, at the door of prod."""
    story.title("Two networks that know nothing of each other")
    dev, prod = networks.find("dev"), networks.find("prod")
    info = prod.broker_info()
    assert info is not None
    # As somebody would do it who knows where prod is and has the keys of dev.
    intruder = networks.create("prod-by-dev")
    intruder.save(networks.Saved(remote=info.endpoint, server_key=info.server_key))
    for key in (dev.key_path("alice"), dev.operator_key):
        target = intruder.folder / key.relative_to(dev.folder)
        networks.write_private(target, key.read_bytes())
    refused = 0
    for name in ("alice", ""):
        who = name or "the operator of dev"
        try:
            connect(intruder.name, agent=name, timeout=WAIT_S).close()
        except NotPermitted as error:
            refused += 1
            story.tell(who if name else "operator", f"at prod with dev's key: {error}")
    shutil.rmtree(intruder.folder)
    story.prove("a key of one network opens no other", refused == 2, f"{refused} of 2")
    with connect("prod", agent="") as operator:
        names = [agent.name for agent in operator.agents()]
    story.prove(
        "nobody of dev is seen in prod", not names, f"{len(names)} agents in prod"
    )


def future_mail(story: Story, cast: Cast) -> None:
    """To a name that nobody has: refused, or kept until somebody takes it."""
    story.title("Mail for somebody who is not there yet")
    refused = False
    try:
        cast.alice.send("bob", "hello?")
    except UnknownRecipient as error:
        refused = True
        story.tell("alice", f"> bob: 'hello?' refused: {error}")
    receipt = cast.alice.send("bob", "the schema is in docs/db.md", future=True)
    story.tell("alice", f"> bob: 'the schema is in docs/db.md'  ({receipt.state})")
    message = cast.bob.read("check")
    story.prove("an unknown name is refused", refused, "1 of 1")
    came = message["id"] == receipt.id
    story.prove(
        "mail waits for a name that registers later",
        came and receipt.state == "future",
        f"read {message['age_s']:.1f} s after it was sent",
    )


def ask_and_reply(story: Story, cast: Cast) -> None:
    story.title("A question and its answer")
    with ThreadPoolExecutor(1) as pool:
        story.tell("alice", "> bob: 'may I deploy?' and waits")
        began = time.monotonic()
        asking = pool.submit(cast.alice.ask, "bob", "may I deploy?", timeout=WAIT_S)
        question = cast.bob.read("wait", "--timeout", "20s")
        cast.bob.run("reply", question["id"], "yes, the build is green")
        answer = asking.result()
    seconds = time.monotonic() - began
    story.tell("alice", f"< {answer.sender}: {answer.body!r}")
    right = answer.reply_to == question["id"] and answer.sender == "bob"
    story.prove("a reply finds its question", right, f"1 of 1, in {seconds:.1f} s")


def broadcast(story: Story, cast: Cast) -> None:
    story.title("To everyone")
    receipt = cast.alice.send("*", "standup in five minutes")
    story.tell("alice", f"> *: 'standup in five minutes' to {receipt.recipients}")
    mine = cast.alice.fetch(10)[0]
    got = cast.bob.read("check")["id"] == receipt.id
    for message in cast.carol.receive(timeout=WAIT_S):
        story.tell("carol", f"< {message.sender}: {message.body!r}")
        got = got and message.id == receipt.id
        message.ack()
    story.prove(
        "a broadcast reaches all but its sender",
        got and receipt.recipients == 2 and not mine,
        f"{receipt.recipients} mailboxes, {len(mine)} of them the sender's",
    )


def takeover(story: Story, cast: Cast) -> None:
    """kill -9 among many messages; nobody but the clients does anything about it."""
    story.title("The broker is killed in the middle of it")
    alice, before = cast.alice, cast.alice.epoch
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_burst, cast.carol)
        story.tell("alice", f"> carol: {BURST} numbered messages, as fast as it goes")
        sent = [alice.submit("carol", str(number)) for number in range(BURST)]
        sent[KILL_AT].result(WAIT_S)
        killed, unanswered = kill_broker(story, sent)
        receipts = [pending.result(WAIT_S) for pending in sent]
        outage = time.monotonic() - killed
        read = reading.result()
    again = sum(receipt.state == "duplicate" for receipt in receipts)
    story.tell("alice", f"all {BURST} are accepted, {outage:.2f} s after the kill")
    story.tell("carol", f"read all, the last one is {read[-1].number if read else '-'}")
    first = list(dict.fromkeys(one.number for one in read))  # where each came first
    lost = BURST - len(first)
    story.prove("a client took the network over", alice.epoch == before + 1, "1 kill")
    story.prove(
        "no message was lost",
        lost == 0,
        f"{BURST} sent, {unanswered} of them unanswered when it died, {lost} lost",
    )
    new = [one.number for one in read if one.attempt == 1]
    story.prove(
        "none was stored twice",
        len(set(new)) == len(new),
        f"{unanswered} sent again, {again} of them were on disk already",
    )
    story.prove(
        "order was kept",
        first == sorted(first),
        f"{len(first)} in the order sent, {len(read) - len(first)} shown twice",
    )


class Read(NamedTuple):
    """A numbered message as carol got it."""

    number: int
    attempt: int


def kill_broker(story: Story, sent: Sequence[Pending[Receipt]]) -> tuple[float, int]:
    """SIGKILL; when that was, and how many sends had no answer."""
    info = networks.find("dev").broker_info()
    assert info is not None
    assert info.is_alive(), "it is the broker, not a pid that was used again"
    killed = time.monotonic()
    os.kill(info.pid, signal.SIGKILL)
    unanswered = sum(not pending.done() for pending in sent)
    story.tell("", f"kill -9 {info.pid}, the broker of dev")
    return killed, unanswered


def read_burst(carol: Client) -> list[Read]:
    """All as they come, each acked; until every number has come."""
    read: list[Read] = []
    deadline = time.monotonic() + WAIT_S
    while len({one.number for one in read}) < BURST and time.monotonic() < deadline:
        for message in carol.receive(max=256, timeout=1.0):
            read += take(message)
            message.ack()
    carol.flush(WAIT_S)
    return read


def take(message: Message) -> list[Read]:
    return [Read(int(message.body), message.attempt)]


def books(story: Story, cast: Cast) -> None:
    """Every entry that was accepted has ended, or waits: counted by the broker."""
    story.title("The books")
    with connect("dev", agent="") as operator:
        status = operator.status()
    count = {"accepted": 0, "acked": 0, **status["counters"]}
    waiting = sum(
        box["waiting"] + box["leased"] for box in status["mailboxes"].values()
    )
    ended = sum(count.get(name, 0) for name in ("acked", "expired", "bounced", "dead"))
    story.tell("", f"accepted {count['accepted']}, ended {ended}, waiting {waiting}")
    story.prove(
        "what was accepted is what ended and what waits",
        count["accepted"] == ended + waiting and count["acked"] >= BURST,
        f"{count['accepted']} = {ended} + {waiting}",
    )


SCENES: Final[tuple[Scene, ...]] = (
    isolation,
    future_mail,
    ask_and_reply,
    broadcast,
    takeover,
    books,
)


# --- the stage ---------------------------------------------------------------


def open_home() -> Path:
    """A home of its own, also for the processes that are started from here."""
    for name in ("IPCBUS_NETWORK", "IPCBUS_AGENT"):
        os.environ.pop(name, None)
    home = Path(tempfile.mkdtemp(prefix="ipcbus-demo-"))
    os.environ["IPCBUS_HOME"] = str(home)
    return home


def close_home(home: Path) -> int:
    """End what still serves there and remove it; how many brokers did not end."""
    left = 0
    for network in networks.networks():
        info = network.broker_info()
        if info is not None and info.is_alive():
            os.kill(info.pid, signal.SIGTERM)
        deadline = time.monotonic() + WAIT_S
        while network.is_served() and time.monotonic() < deadline:
            time.sleep(0.02)
        left += network.is_served()
    shutil.rmtree(home)
    return left


def perform(story: Story, scenes: Sequence[Scene]) -> None:
    operator = Shell(story, "you")
    story.title("Two brokers")
    for name in ("dev", "prod"):
        up = operator.run("up", "--network", name, "--detach")
        story.tell("", f"network {name} is up at {up['endpoint']} (pid {up['pid']})")
    with connect("dev", agent="alice") as alice, connect("dev", agent="carol") as carol:
        cast = Cast(alice, Shell(story, "bob", "dev"), carol)
        for scene in scenes:
            scene(story, cast)
    operator.run("down", "--all")


def main(scenes: Sequence[Scene] = SCENES, out: TextIO | None = None) -> int:
    """Play the scenes; the exit code."""
    story = Story(out or sys.stdout)
    home = open_home()
    try:
        perform(story, scenes)
    except (IpcbusError, subprocess.TimeoutExpired, AssertionError) as error:
        story.prove("the demo ran to its end", False, str(error) or repr(error))
    finally:
        left = close_home(home)
    gone = left == 0 and not home.exists()
    story.prove("nothing is left behind", gone, f"{left} brokers, no files")
    return story.close()


if __name__ == "__main__":
    sys.exit(main())
