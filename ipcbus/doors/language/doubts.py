"""Why a sentence was not carried out, and what to type instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ipcbus.doors.language import leftout
from ipcbus.doors.language.intents import Intent, Unsure, plainly
from ipcbus.doors.language.lists import GROUPS, NEGATIONS, NO_NAMES
from ipcbus.doors.language.pattern import Sentence
from ipcbus.doors.language.receivers import is_one_of_many
from ipcbus.doors.language.words import Word, slips
from ipcbus.errors import InvalidAddress
from ipcbus.protocol.address import check_name

_EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "register": ("register as alice",),
    "rename": ("rename to alice-2",),
    "send": ("tell bob: the build is green", "broadcast: the build is green"),
    "ask": ("ask bob: is the build green?",),
    "check": ("check messages",),
    "wait": ("wait for messages",),
    "agents": ("who is online",),
    "reply": ("reply: got it",),
    "forward": ("forward to carol",),
    "join": ("join #builds", "post to #builds: green"),
    "leave": ("leave #builds",),
    "auto_start": ("start auto checking every 5 minutes", "stop auto checking"),
    "history": ("show history with bob",),
    "status": ("status",),
}
_CLUES: Final[Mapping[str, str]] = {
    "register": "register name call login",
    "rename": "rename change",
    "send": "send tell message msg say write broadcast post announce everyone notify",
    "ask": "ask question",
    "check": "check messages mail msgs inbox read",
    "wait": "wait",
    "agents": "list instances agents online who active",
    "reply": "reply answer respond",
    "forward": "forward fwd relay",
    "join": "join subscribe topic channel",
    "leave": "leave unsubscribe",
    "auto_start": "auto checking automatically",
    "history": "history",
}
_COMMON: Final = ("send", "check", "agents", "reply")
MOST_EXAMPLES: Final = 4

MOST_SHOWN: Final = 60
"""Letters of a text that are repeated in an example."""

_ASKING: Final = re.compile(
    r"\W*(?:should|shall|may|might|must|did|do|does|have|has|had|was|were|is|are|how"
    r"|why|when|where|what|who|which|can|could|would|will)\b",
    re.IGNORECASE,
)


def two_readings(found: Sequence[Intent]) -> Unsure:
    """Several things fit as well."""
    says = "that can mean more than one thing"
    return Unsure("two_readings", says, tuple(found), tuple(map(plainly, found)))


def with_or_without_mark(intent: Intent) -> Unsure:
    """ "Can you tell bob it works?": whose question mark is it?"""
    text = intent.fields["text"]
    bare = intent._replace(fields={**intent.fields, "text": text.rstrip("? \t")})
    says = "the question mark may belong to the text or to your question"
    both = (plainly(bare), plainly(intent))
    return Unsure("two_readings", says, (bare, intent), both)


def about_time(intent: Intent) -> Unsure:
    says = "auto checking goes from every 10 seconds to every 24 hours"
    return Unsure("time", says, (intent,), ("start auto checking every 5 minutes",))


def one_only(intent: Intent) -> Unsure:
    """A question and a reply go to one agent."""
    is_reply = intent.action != "ask"
    says = f"{'a reply' if is_reply else 'a question'} goes to one agent"
    to, text = intent.fields.get("to", "*"), intent.fields["text"]
    if is_reply and "to" not in intent.fields:
        text = text.partition(":")[2].strip() or text
    told = Intent("send", {"to": to, "text": text})
    one = "reply: ..." if is_reply else "ask bob: ..."
    return Unsure("one_only", says, (told,), (plainly(told), one))


def to_whom(intent: Intent, name: str) -> Unsure:
    """ "reply bob: hi": is bob the receiver or the first word?"""
    text = intent.fields["text"]
    rest = text.partition(":")[2].strip()
    could_be = [Intent("reply", {"text": text})]
    if rest:
        could_be.insert(0, Intent("reply", {"agent": name, "text": rest}))
    says = f"{name!r} may be the receiver or a part of the text"
    return two_readings(could_be)._replace(says=says)


def to_one_or_all(intent: Intent) -> Unsure:
    """ "Broadcast to bob: hi" says two things at once."""
    text = intent.fields["text"]
    receivers = (intent.fields["agent"], "*")
    return two_readings([Intent("send", {"to": to, "text": text}) for to in receivers])


def of_another(intent: Intent) -> Unsure:
    says = "an agent changes its own name only; the operator can change any"
    old, new = intent.fields["agent"], intent.fields["name"]
    own = plainly(Intent("rename", {"name": new}))
    return Unsure("one_only", says, (), (own, f"ipcbus rename {old} {new}"))


def when(intent: Intent) -> Unsure:
    """ "Tell bob when the build is done": a message is sent now, or never."""
    says = "a message is sent at once, not when something happens"
    return Unsure("condition", says, (intent,), (plainly(intent),))


def several_commands(intent: Intent) -> Unsure:
    says = "that may be one text or several commands; say one at a time"
    return Unsure("two_readings", says, (intent,), (plainly(intent),))


def all_but(*read: Intent) -> Unsure:
    """ "Tell everyone except bob ...": whoever is left out would get it too."""
    says = "nobody can be left out; name who shall get it, or post to a topic they join"
    one_at_a_time = ("tell alice: ...", "post to #topic: ...")
    return Unsure("several", says, read, (*one_at_a_time, *map(plainly, read)))


def somebody_near(intent: Intent, name: str, near: Sequence[str]) -> Unsure:
    """Nobody has that name, but somebody has one that is almost the same."""
    key = "to" if "to" in intent.fields else "agent"
    # Of a name in another network only that network's own part is compared.
    could_be = [intent._replace(fields={**intent.fields, key: each}) for each in near]
    says = f"nobody is called {name!r}; did you mean {' or '.join(near)}?"
    return Unsure("receiver", says, tuple(could_be), tuple(map(plainly, could_be)))


def no_text(intent: Intent) -> Unsure:
    if str(intent.fields.get("to")).lower() in NO_NAMES:
        intent = intent._replace(fields={**intent.fields, "to": "bob"})
    form = plainly(intent._replace(fields={**intent.fields, "text": "..."}))
    return Unsure("no_text", "what shall the message say?", (), (form,))


def _unregister(words: Sequence[Word]) -> Unsure:
    says = "names are kept; the operator can take an agent's keys away"
    names = [word.text for word in words[1:] if word.low not in NO_NAMES]
    example = f"ipcbus revoke {names[-1] if names else 'bob'}"
    return Unsure("unknown", says, (), (example,))


def explained(sentence: Sentence, start: int, near: Iterable[Intent]) -> Unsure:
    """Nothing fits. `near` is what would, if every word could be a name."""
    words = sentence.words[start:]
    if _is_negated(words):
        says = "that says what not to do; nothing was done"
        return Unsure("negation", says, (), _examples(sentence.words))
    if words and words[0].low.replace("-", "") in ("unregister", "deregister"):
        return _unregister(words)
    if leftout.is_of_many(sentence.raw):
        return all_but()
    for intent in near:
        doubt = _of_fields(intent, words)
        if doubt is not None:
            return doubt
    if _ASKING.match(sentence.raw):
        says = "that asks something; nothing was sent or changed"
        return Unsure("question", says, (), (*_examples(sentence.words), "help"))
    says = "that is not understood; nothing was done"
    return Unsure("unknown", says, (), _examples(sentence.words))


def _is_negated(words: Sequence[Word]) -> bool:
    return any(word.low in NEGATIONS for word in words[:5]) or (
        [word.low for word in words[:1]] in (["no"], ["stop"], ["cancel"])
    )


def _of_fields(intent: Intent, words: Sequence[Word]) -> Unsure | None:
    if intent.action == "rename_other":
        return of_another(intent)
    if intent.action in ("broadcast_one", "reply_many"):
        # There is no plain sentence for these: what is near to them is a send.
        to = str(intent.fields.get("to") or intent.fields.get("agent"))
        intent = Intent("send", {"to": to, "text": intent.fields.get("text", "")})
    fields = intent.fields
    receiver = fields.get("to") or fields.get("agent")
    if receiver is None:
        name = fields.get("name")
        return _bad_name(str(name), intent) if name else None
    named = [i for i, word in enumerate(words) if word.text.endswith(receiver)]
    place = named[0] if named else len(words)
    following = [word.low for word in words[place + 1 : place + 3]]
    text = str(fields.get("text", "..."))
    if receiver.lower() == "the" and following[1:] and following[1] in GROUPS:
        return _group(following[0])
    if not text.strip():
        return no_text(intent)
    if is_one_of_many(words, place):
        return _several(receiver)
    return _nobody(intent, receiver)


def _bad_name(name: str, intent: Intent) -> Unsure:
    try:
        check_name(name)
    except InvalidAddress as error:
        return Unsure("name", str(error), (), _EXAMPLES.get(intent.action, ()))
    if name.lower() in NO_NAMES:
        says = f"{name!r} does not sound like a name"
        return Unsure("name", says, (), _EXAMPLES.get(intent.action, ()))
    says = f"{name!r} does not sound like a name; if it is one, say so"
    return Unsure("name", says, (intent,), (plainly(intent),))


def _nobody(intent: Intent, receiver: str) -> Unsure:
    says = f"who is {receiver!r}? Say the agent's name, and a colon before the text"
    if "text" not in intent.fields:
        says = f"who is {receiver!r}? Say the agent's name"
    key = "to" if "to" in intent.fields else "agent"
    shown = str(intent.fields.get("text", "")).strip()
    fields = {**intent.fields, key: "bob"}
    if shown:
        fields["text"] = shown if len(shown) < MOST_SHOWN else "..."
    examples = [plainly(intent._replace(fields=fields))]
    if intent.action == "send":
        examples.append(f"broadcast: {fields['text']}")
    return Unsure("receiver", says, (), tuple(examples))


def _several(receiver: str) -> Unsure:
    says = "that seems to be for several agents; say it to one at a time, or to a topic"
    return Unsure("several", says, (), (f"tell {receiver}: ...", "post to #topic: ..."))


def _group(word: str) -> Unsure:
    says = f"a group is a topic here: those who joined #{word}"
    return Unsure("receiver", says, (), (f"post to #{word}: ...", "broadcast: ..."))


def _examples(words: Sequence[Word]) -> tuple[str, ...]:
    """Those that have words in common with what was said, or the most usual ones."""
    typed = [word.low for word in words[:12]]
    found = [
        action
        for action, clues in _CLUES.items()
        if any(slips(low, clue) is not None for clue in clues.split() for low in typed)
    ]
    chosen = [text for action in found for text in _EXAMPLES[action]]
    usual = [_EXAMPLES[action][0] for action in _COMMON]
    return tuple(dict.fromkeys(chosen or usual))[:MOST_EXAMPLES]
