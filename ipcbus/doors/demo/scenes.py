"""What is played: each scene does something and says what it proves."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from ipcbus import networks
from ipcbus.client.connect import connect
from ipcbus.client.message import Message, Receipt
from ipcbus.client.pending import Pending
from ipcbus.client.sync import Client
from ipcbus.doors.demo.story import Shell, Story
from ipcbus.errors import NotPermitted, UnknownRecipient

BURST: Final = 4_000
"""Messages sent while the broker is killed: enough that it dies among them."""

FIRST: Final = 3_000
"""Sent before the broker is killed; the others when it is dead."""

KILL_AT: Final = 200
"""How many of them are accepted when it dies."""

WAIT_S: Final = 20.0
"""How long anything here may take."""


class Cast(NamedTuple):
    """Who is on the stage of network dev."""

    alice: Client
    bob: Shell
    carol: Client


Scene = Callable[[Story, Cast], None]


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
        sent = [alice.submit("carol", str(number)) for number in range(FIRST)]
        sent[KILL_AT].result(WAIT_S)
        killed, unanswered = kill_broker(story, sent)
        sent += [alice.submit("carol", str(number)) for number in range(FIRST, BURST)]
        receipts = [pending.result(WAIT_S) for pending in sent]
        outage = time.monotonic() - killed
        read = reading.result()
    again = sum(receipt.again for receipt in receipts)
    story.tell("alice", f"all {BURST} are accepted, {outage:.2f} s after the kill")
    story.tell("carol", f"read all, the last one is {read[-1].number if read else '-'}")
    first = list(dict.fromkeys(one.number for one in read))  # where each came first
    lost = BURST - len(first)
    story.prove("a client took the network over", alice.epoch == before + 1, "1 kill")
    story.prove(
        "no message was lost",
        lost == 0,
        f"{BURST} sent, {FIRST} of them before the kill, {lost} lost",
    )
    new = [one.number for one in read if one.attempt == 1]
    story.prove(
        "none was stored twice",
        len(set(new)) == len(new),
        f"{unanswered} unanswered when it died, {again} of them were on disk",
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
    while len({one.number for one in read}) < BURST:
        messages = carol.receive(max=256, timeout=max(0.0, deadline - time.monotonic()))
        if not messages:
            break
        for message in messages:
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
