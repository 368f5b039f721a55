"""What is played between the two networks, over a bridge."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from ipcbus.client.connect import connect
from ipcbus.client.message import Receipt
from ipcbus.client.pending import Pending
from ipcbus.doors.demo.cast import (
    WAIT_S,
    Cast,
    Read,
    arrived,
    count,
    kill_broker,
    read_burst,
    stored,
    until,
)
from ipcbus.doors.demo.story import Story

PARTS: Final = (1_500, 1_500, 1_000)
"""Messages sent before the first kill, before the second, and after it."""

KILL_AT: Final = 200
"""How many have been read when prod's broker is killed."""

AGAIN: Final = "prod:duplicate"
CROSSED: Final = ("prod:accepted", AGAIN)
"""How dev counts what prod has, and what it had when it was handed over again."""


def ask_across(story: Story, cast: Cast) -> None:
    story.title("A question to the other network, over a bridge")
    cast.bridge.start()
    cast.dana.run("register", "dana")
    with ThreadPoolExecutor(1) as pool:
        story.tell("alice", "> dana@prod: 'may I release?' and waits")
        began = time.monotonic()
        asking = pool.submit(
            cast.alice.ask, "dana@prod", "may I release?", timeout=WAIT_S
        )
        question = cast.dana.read("wait", "--timeout", "20s")
        cast.dana.run("reply", question["id"], "yes, all is calm here")
        answer = asking.result()
    seconds = time.monotonic() - began
    story.tell("alice", f"< {answer.sender}: {answer.body!r}")
    right = f"{answer.reply_to}@dev" == question["id"] and answer.sender == "dana@prod"
    origin = [question["from"], question["trust"], *question["hops"]]
    story.prove(
        "a question crosses a bridge, and so does its answer",
        right,
        f"1 of 1, in {seconds:.1f} s",
    )
    story.prove(
        "a foreign sender is shown in full",
        origin == ["alice@dev", "foreign", "dev"],
        ", ".join(origin),
    )


def forbidden(story: Story, cast: Cast) -> None:
    story.title("What a rule of the bridge forbids")
    cast.bridge.start()
    before = count("prod", "dev:in_accepted")
    receipt = cast.carol.send("dana@prod", "let me in")
    story.tell("carol", f"> dana@prod: 'let me in'  ({receipt.state})")
    status = "none came"
    for bounce in cast.carol.receive(timeout=WAIT_S):
        story.tell("carol", f"< {bounce.kind}: {str(bounce.body).splitlines()[0]}")
        if bounce.reply_to == receipt.id:
            status = bounce.data["status"]
        bounce.ack()
    crossed = count("prod", "dev:in_accepted") - before
    story.prove(
        "what a rule forbids is bounced and does not cross",
        status == "5.7.1" and not crossed,
        f"bounce {status}, {crossed} crossed",
    )


def outage(story: Story, cast: Cast) -> None:
    """kill -9, among messages, of the broker that takes them in, and of the bridge."""
    story.title("The other broker is killed, and then the bridge")
    cast.bridge.start()
    crossed, again = count("dev", *CROSSED), count("dev", AGAIN)
    total, numbers = sum(PARTS), iter(range(sum(PARTS)))
    read: list[Read] = []

    def more(messages: int) -> list[Pending[Receipt]]:
        some = islice(numbers, messages)
        return [cast.alice.submit("dana@prod", str(number)) for number in some]

    with connect("prod", agent="dana") as dana, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_burst, dana, total, read)
        story.tell("alice", f"> dana@prod: {total} numbered messages")
        sent = more(PARTS[0])
        until(lambda: len(read) >= KILL_AT, "the first messages")
        kill_broker(story, "prod")
        sent += more(PARTS[1])
        until(lambda: not cast.bridge.works(), "the bridge to notice")
        until(cast.bridge.works, "the bridge to go on")
        shown = len(read)
        until(lambda: len(read) > shown, "messages after the first kill")
        cast.bridge.kill()
        sent += more(PARTS[2])
        for pending in sent:
            pending.result(WAIT_S)
        left = total - len(arrived(read))
        story.tell("alice", f"all {total} are accepted, and {left} wait in dev")
        cast.bridge.start()
        reading.result()
    story.tell("dana", f"read all, the last one is {read[-1].number if read else '-'}")
    until(lambda: count("dev", *CROSSED) - crossed >= total, "the last verdicts")
    _prove_outage(story, read, count("dev", AGAIN) - again)


def _prove_outage(story: Story, read: Sequence[Read], again: int) -> None:
    first, new, total = arrived(read), stored(read), sum(PARTS)
    story.prove(
        "nothing was lost on the way to the other network",
        len(first) == total,
        f"{total} sent, 2 kills, {total - len(first)} lost",
    )
    story.prove(
        "nothing crossed twice",
        len(set(new)) == len(new),
        f"{again} were handed over again, {len(new) - len(set(new))} stored again",
    )
    story.prove(
        "order was kept across the bridge",
        first == sorted(first),
        f"{len(first)} in the order sent, {len(read) - len(first)} shown twice",
    )
