"""What `say` answers, for programs and for people.

What peers wrote comes out of the tools with its control characters escaped; here it
stands behind the bar, as in every list of messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ipcbus.doors.cli.output import paint, pairs, table, to_json
from ipcbus.doors.cli.render import BAR, _fold
from ipcbus.doors.language.intents import Intent, Unsure, plainly
from ipcbus.doors.text import safe_line
from ipcbus.errors import NothingThere, UsageError
from ipcbus.units import show_duration

Answer = Mapping[str, Any]

MOST_SHOWN: Final = 70
"""Letters of a sentence of the user's own that are repeated."""


# --- for programs ----------------------------------------------------------------


def document(intent: Intent) -> dict[str, Any]:
    """What was understood, as JSON: `do` and the fields, and the plain sentence."""
    found = {"do": intent.action, **intent.fields, "plainly": plainly(intent)}
    if intent.mended:
        found["mended"] = dict(intent.mended)
    return found


def of_doubt(doubt: Unsure) -> dict[str, Any]:
    """An error of the caller's own, with all that could have been meant."""
    return {
        "code": UsageError.code,
        "message": doubt.says,
        "reason": doubt.reason,
        "could_be": [document(each) for each in doubt.could_be],
        "examples": list(doubt.examples),
    }


def line(found: Any) -> str:
    return to_json(found) + "\n"


def exit_code(intent: Intent, answer: Answer) -> int:
    """3 if there was nothing to give, as with the plain commands."""
    empty = (
        answer.get("messages") == []
        or answer.get("agents") == []
        or answer.get("state") == "waiting"
    )
    return NothingThere.exit_code if empty else 0


# --- for people --------------------------------------------------------------------


def short(intent: Intent) -> str:
    """The plain sentence on one line, cut if it is long."""
    text = safe_line(plainly(intent))
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def doubt_lines(doubt: Unsure) -> Iterator[str]:
    yield doubt.says
    for example in doubt.examples:
        text = safe_line(example)
        yield f"  say: {text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + '...'}"


def lines(intent: Intent, answer: Answer) -> Iterator[str]:
    """What came of `intent`."""
    yield from _TELL[intent.action](intent, answer)


def _sent(intent: Intent, answer: Answer) -> Iterator[str]:
    to = safe_line(str(answer.get("to", intent.fields["to"])))
    if to == "*":
        to = "everyone"
    count = f" ({answer['recipients']} of them)" if "recipients" in answer else ""
    yield f"{paint('sent', 'green')} to {to}{count}  id {answer['id']}"


def _asked(intent: Intent, answer: Answer) -> Iterator[str]:
    if "answer" in answer:
        yield from _message(answer["answer"])
        return
    yield f"no answer yet; it will be in your mailbox  id {answer['id']}"


def _replied(intent: Intent, answer: Answer) -> Iterator[str]:
    to, asked = safe_line(answer["to"]), answer["reply_to"]
    yield f"{paint('sent', 'green')} to {to}  id {answer['id']}  answers {asked}"


def _forwarded(intent: Intent, answer: Answer) -> Iterator[str]:
    whose, to = safe_line(answer["from"]), safe_line(intent.fields["to"])
    state = paint("forwarded", "green")
    yield f"{state} to {to} what {whose} wrote  id {answer['id']}"
    if count := answer.get("attachments_left"):
        what = "an attachment" if count == 1 else f"{count} attachments"
        yield f"without {what}: ipcbus show {answer['forwarded']} --save DIR"


def _mail(intent: Intent, answer: Answer) -> Iterator[str]:
    is_past = intent.action in ("history", "search")
    messages = answer["messages"]
    for each in reversed(messages) if is_past else messages:
        yield from _message(each)
        yield ""
    if remaining := answer.get("remaining"):
        yield f"{remaining} {'more' if messages else 'waiting'}"
    if "paused" in answer:
        yield answer["paused"]
    elif not messages:
        yield "no message" if is_past else "no mail"


def _message(found: Answer) -> Iterator[str]:
    """One message, as a tool gives it: its texts are harmless, and still a peer's."""
    facts = [found.get("kind", ""), found["age"]]
    if "thread" in found:
        facts.append(f"thread {found['thread']}")
    if found.get("seen_before"):
        facts.append("seen before")
    trust = found["trust"]
    if "hops" in found:
        trust = f"{trust}, {found['hops']} hop{'s' * (found['hops'] != 1)}"
    rest = "  ·  ".join(filter(None, facts))
    yield f"{paint(found['from'], 'bold')}  {trust}  ·  {rest}"
    more = [f"id {found['id']}"]
    more += [f"{name} {found[name]}" for name in ("to", "state") if name in found]
    if "reply_to" in found:
        more.append(f"answers {found['reply_to']}")
    yield paint("  ".join(more), "dim")
    yield from _content(found)


def _content(found: Answer) -> Iterator[str]:
    text = found["text"].split("\n") if found["text"] else []
    if "more" in found:
        text.append(f"... {found['more'].partition(';')[0]}: ipcbus show {found['id']}")
    for each in text:
        for part in _fold(each):
            yield paint(BAR, "dim") + part
    if "data" in found:
        yield f"  data {safe_line(json.dumps(found['data']))}"
    for each in found.get("attachments", ()):
        yield f"  attachment {each}: ipcbus show {found['id']} --save DIR"


def _agents(intent: Intent, answer: Answer) -> Iterator[str]:
    rows = [
        (
            each["name"],
            each.get("seen", "by a bridge"),
            ", ".join(each.get("topics", ())),
        )
        for each in answer["agents"]
    ]
    if rows:
        yield from table(("agent", "seen", "topics"), rows)
    elif name := intent.fields.get("agent"):
        yield f"nobody is called {safe_line(name)}"
    else:
        yield "nobody is there"
    if more := answer.get("more"):
        yield f"{more} more"


def _registered(intent: Intent, answer: Answer) -> Iterator[str]:
    yield from _who(intent, answer)
    name = safe_line(str(answer["agent"]))
    yield f"say so in every command: --as {name}, or once: export IPCBUS_AGENT={name}"


def _renamed(intent: Intent, answer: Answer) -> Iterator[str]:
    if "was" not in answer:  # the name was its own already
        yield from _who(intent, answer)
        return
    was, name = safe_line(str(answer["was"])), safe_line(str(answer["agent"]))
    yield f"{was} is now {name}; mail to {was} is forwarded for a while"
    yield f"from now on: --as {name}, or export IPCBUS_AGENT={name}"


def _who(intent: Intent, answer: Answer) -> Iterator[str]:
    name = safe_line(str(answer["agent"]))
    yield f"you are {paint(name, 'bold')} in {answer['network']}"
    if answer["topics"]:
        yield f"topics: {', '.join(answer['topics'])}"
    if answer["waiting"]:
        yield f"mail waiting: {answer['waiting']}"


def _state(intent: Intent, answer: Answer) -> Iterator[str]:
    stopped = {"stopped": "; ".join(answer["stopped"])} if "stopped" in answer else {}
    yield from pairs({**answer, **stopped})


def _auto(intent: Intent, answer: Answer) -> Iterator[str]:
    name, every_s = safe_line(answer["agent"]), answer["every_s"]
    if every_s is None:
        yield f"auto checking is off: hooks show {name} no mail; check messages does"
    elif every_s:
        often = show_duration(int(every_s * 1000))
        yield f"auto checking is on: hooks look for mail of {name} once in {often},"
        yield "at the first event of a session after that"
    else:
        yield f"auto checking is on: hooks show {name} new mail at every event"


# --- help ------------------------------------------------------------------------


SENTENCES: Final[Sequence[tuple[str, str]]] = (
    ("register as alice", "be alice from now on"),
    ("rename to alice-2", "change your name"),
    ("tell bob: the build is green", "send a message; bob@prod is in network prod"),
    ("broadcast: the build is green", "send it to everyone"),
    ("ask bob: is it green?", "send a question and wait for the answer"),
    ("leave a message for carol: hi", "send it to a name that nobody has yet"),
    ("check messages", "read the mail that is there"),
    ("wait for messages", "the same, when some comes"),
    ("reply: got it", "answer the last message that you read"),
    ("forward to carol", "send that message on"),
    ("show history with bob", "messages of the past"),
    ("search for rollback", "those with a word in them"),
    ("who is online", "list the agents"),
    ("join #builds", "get what is posted to a topic"),
    ("post to #builds: green", "post to it"),
    ("leave #builds", "get it no more"),
    ("start auto checking every 5 minutes", "how often hooks look for mail"),
    ("stop auto checking", "never"),
    ("auto check status", "which of it is so"),
    ("who am i", "your name, topics and mail"),
    ("status", "the state of the network"),
)
"""What can be said, in its plainest form, and what it does."""


def everything() -> dict[str, Any]:
    return {"sentences": [{"say": text, "does": does} for text, does in SENTENCES]}


def _help(intent: Intent, answer: Answer) -> Iterator[str]:
    yield from table(("say", "it will"), SENTENCES)
    yield "Other words for the same are understood too. A colon tells where a text"
    yield "begins; it is sent as it was typed."


_TELL: Final[Mapping[str, Callable[[Intent, Answer], Iterator[str]]]] = {
    "send": _sent,
    "ask": _asked,
    "reply": _replied,
    "forward": _forwarded,
    "check": _mail,
    "wait": _mail,
    "history": _mail,
    "search": _mail,
    "agents": _agents,
    "register": _registered,
    "rename": _renamed,
    "join": _who,
    "leave": _who,
    "whoami": _who,
    "status": _state,
    "auto_start": _auto,
    "auto_stop": _auto,
    "auto_status": _auto,
    "help": _help,
}
