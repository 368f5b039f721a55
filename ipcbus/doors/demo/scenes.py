"""What is played: each scene does something and says what it proves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ipcbus import networks
from ipcbus.client.connect import connect
from ipcbus.doors.demo.across import ask_across, forbidden, outage
from ipcbus.doors.demo.agents import two_agents
from ipcbus.doors.demo.cast import (
    WAIT_S,
    Cast,
    Read,
    arrived,
    kill_broker,
    read_burst,
    status,
    stored,
)
from ipcbus.doors.demo.story import Story
from ipcbus.errors import NotPermitted, UnknownRecipient

BURST: Final = 4_000
"""Messages sent while the broker is killed: enough that it dies among them."""

FIRST: Final = 3_000
"""Sent before the broker is killed; the others when it is dead."""

KILL_AT: Final = 200
"""How many of them are accepted when it dies."""

ENDINGS: Final = ("acked", "relayed", "filtered", "expired", "bounced", "dead")
"""How what was accepted ends, as a broker counts it."""

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
    refused = 0
    for who, key in (("alice", dev.key_path("alice")), ("operator", dev.operator_key)):
        networks.write_private(intruder.key_path(who), key.read_bytes())
        try:
            connect(intruder.name, agent=who, timeout=WAIT_S).close()
        except NotPermitted as error:
            refused += 1
            story.tell(who, f"at prod with the key from dev: {error}")
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
    read: list[Read] = []
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_burst, cast.carol, BURST, read)
        story.tell("alice", f"> carol: {BURST} numbered messages, as fast as it goes")
        sent = [alice.submit("carol", str(number)) for number in range(FIRST)]
        sent[KILL_AT].result(WAIT_S)
        killed = time.monotonic()
        kill_broker(story, "dev")
        unanswered = sum(not pending.done() for pending in sent)
        sent += [alice.submit("carol", str(number)) for number in range(FIRST, BURST)]
        receipts = [pending.result(WAIT_S) for pending in sent]
        outage = time.monotonic() - killed
        reading.result()
    again = sum(receipt.again for receipt in receipts)
    story.tell("alice", f"all {BURST} are accepted, {outage:.2f} s after the kill")
    story.tell("carol", f"read all, the last one is {read[-1].number if read else '-'}")
    first, new = arrived(read), stored(read)
    lost = BURST - len(first)
    story.prove("a client took the network over", alice.epoch == before + 1, "1 kill")
    story.prove(
        "no message was lost",
        lost == 0,
        f"{BURST} sent, {FIRST} of them before the kill, {lost} lost",
    )
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


def books(story: Story, cast: Cast) -> None:
    """Every entry that was accepted has ended, or waits: counted by the brokers."""
    story.title("The books")
    sums = [balance(story, network) for network in ("dev", "prod")]
    story.prove(
        "what was accepted is what ended and what waits",
        all(accepted == ended + waiting for accepted, ended, waiting in sums),
        ", ".join(f"{a} = {e} + {w}" for a, e, w in sums),
    )


def balance(story: Story, network: str) -> tuple[int, int, int]:
    told = status(network)
    counters, boxes = told["counters"], told["mailboxes"].values()
    waiting = sum(box["waiting"] + box["leased"] for box in boxes)
    ended = sum(counters.get(name, 0) for name in ENDINGS)
    accepted = counters.get("accepted", 0)
    story.tell("", f"{network}: accepted {accepted}, ended {ended}, waiting {waiting}")
    return accepted, ended, waiting


SCENES: Final[tuple[Scene, ...]] = (
    isolation,
    future_mail,
    ask_and_reply,
    broadcast,
    takeover,
    ask_across,
    forbidden,
    two_agents,
    outage,
    books,
)
