"""The table of all forms: what people say for each thing that can be done.

`pattern` tells how a form reads. Where two forms fit, the one that says more words
wins; where that is not enough, the sentence is not carried out. A form that takes the
text first and the receiver last (`{text_to}`) never wins over another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from ipcbus.doors.language.lists import REAL_WORDS
from ipcbus.doors.language.pattern import Form, compiled, literals


class Entry(NamedTuple):
    """A form, what it means, and the fields that are always the same.

    Attributes:
        weak: it takes the text first, so that nothing tells where the text begins.
    """

    action: str
    form: Form
    fixed: Mapping[str, Any]
    weak: bool


SHARED: Final[Mapping[str, str]] = {
    "msg": "message|msg|note|dm|mail|email|line|memo",
    "mail": "messages|message|msgs|msg|mail|mails|emails|inbox|mailbox|dms",
    "new": "new|unread|latest|recent|incoming|pending|waiting|more",
    "my": "my|the|our",
    "me": "show [me]|tell me|let me know|let me see|give me|list|get|get me|see|display"
    "|print|read|read me|fetch|view|open|find out|what are|what is|what's",
    "ais": "agents|agent|instances|instance|ais|ai|members|people|peers|names|users"
    "|sessions|clients|bots|models",
    "here": "online|here|there|connected|active|around|available|up|on|listening"
    "|alive|running|registered|present|on the bus|on the network|in the network",
    "who": "who is|who's|whos|who are|who all is|who else is|who's all",
    "that": "that|saying|saying that|to say|to say that",
    "tell": "tell|msg|message|notify|inform|dm|alert|warn|remind|ping|whisper [to]",
    "put": "send|write|drop|shoot|give|pass|deliver",
    "every": "[every|each|at|with|for|to|in|once every|once per|once a|once an|per"
    "|with an|with a|with a interval of|with an interval of] {minutes}"
    " [interval|intervals]",
    "auto": "auto checking|auto check|auto checks|auto-checking|auto-check|auto-checks"
    "|autocheck|autochecks|autochecking|automatic checking|automatic checks"
    "|automatic message checking|automatic message checks|auto message checking"
    "|auto checking messages|auto check messages|auto checking of messages"
    "|auto checking mail|auto check mail|checking automatically|auto checking my"
    " messages|auto checking for messages|checking messages automatically"
    "|the auto check|the auto checks|the auto checking|my auto checks",
    "sender": "him|her|them|it|that|this|that one|last|the last|the last one|the sender"
    "|the last sender|last sender|the last message|last message|the message"
    "|that message|this message|whoever wrote last|the last message i got",
    "last": "it|this|that|this message|that message|the message|message|last message"
    "|the last|the last one|the last message|my last message|the last msg|the last mail"
    "|the latest message|the newest message|that one|the last message i got"
    "|the last message i received|the last received message",
    "bus": "bus|network|broker|server|system|ipc|ipcbus",
    "group": "topic|channel|room|group",
    "answer": "reply|answer|respond|write back",
}

FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "register": (
        "register [this|the] [instance|session|agent|ai|terminal|window|one] [as]"
        " [agent|name] {name}",
        "register [me|myself|yourself|us] [as] {name}",
        "register [me|myself|yourself|this instance|this session|this agent]"
        " (with|under|by|using) [the|a] name [of] {name}",
        "register (this instance|this session|this agent|a new agent|an agent)"
        " (named|called) {name}",
        "(sign|log) [me] (up|in|on) as {name}",
        "(login|signup|signin|connect|enroll|start|join|join in) [me] as {name}",
        "(call|name) (me|myself|this instance|this session|yourself) {name}",
        "be (called|known as|named) {name}",
        "(i am|i'm|im) (called|named|known as) {name}",
        "my name is {own_name}",
        "my name's {own_name}",
        "the name is {own_name}",
        "(i am|i'm|im|your name is) {own_name}",
        "(set|make) my name [to|as|be] {name}",
        "use [the] name {name}",
    ),
    "rename": (
        "rename [me|myself|yourself|us|this instance|this session|this agent]"
        " (to|as|into) {name}",
        "rename (me|myself|yourself) {name}",
        "change [my|your|the|this instance's] name (to|into) {name}",
        "(switch|update|set) [my|your] name to {name} now",
        "(update|switch) [my|your] name to {name}",
        "(call|name) me {name} (now|from now on|instead)",
        "be (called|known as|named) {name} (now|from now on|instead)",
        "(i am|i'm|im) now [called|named|known as] {name}",
        "my new name is {name}",
        "my name is now {name}",
        "from now on (call me|my name is|i am|i'm) {name}",
    ),
    "send": (
        "$tell {who} [$that] {said}",
        "$tell {who} about {said}",
        "tell {who} to {text}",
        "(remind|warn|ping) {who} to {text}",
        "{mention} {said}",
        "let {who} know [that] {text}",
        "let {who} know about {text}",
        "give {who} a heads up [$that] {text}",
        "$tell to {who} [$that|about] {text}",
        "send {who} [saying|saying that|about] {said}",
        "$put {who} (a|the following|another|this|one more|a quick|a short) $msg"
        " [to|$that|about] {text}",
        "$put {who} (the message|the msg|the note) {colon} {text}",
        "$put [a|another|this|the following|a quick|a short|one more] $msg"
        " (to|for|over to) {who} [to|$that|about] {text}",
        "(send|write|say|post|speak|talk) to {who} [$that|about] {text}",
        "send over to {who} [$that|about] {text}",
        "(post|publish|announce|share|say|write|send) (to|in|on|into|at)"
        " [the] [$group] {post} [$that] {text}",
        "(post|publish|announce) {post} {text}",
    ),
    "broadcast": (
        "broadcast [this] {said}",
        "broadcast [the] (message|msg) {colon} {text}",
        "broadcast (a|this|the following|another) $msg [$that] {said}",
        "(broadcast|announce) [a $msg] that {text}",
        "(broadcast|announce|publish) [a $msg|$msg|this|the following] to {many}"
        " [$that] {text}",
        "announce {said}",
        "(make|send) [out] (an announcement|a broadcast) [to {many}] [$that] {text}",
    ),
    "broadcast_one": (
        "(broadcast|announce|publish) [a $msg|$msg|this|the following] to {agent}"
        " [$that] {text}",
    ),
    "text_first": (
        "(send|say|post|write|pass|publish|broadcast|announce|deliver) {text_to}",
    ),
    "future": (
        "leave [a|another|this] $msg for {who} [$that] {text}",
        "(send|write) [a] $msg for when {who} (arrives|joins|registers|comes|is here)"
        " [$that] {text}",
    ),
    "ask": (
        "(ask|question|query) {who} [to] {text}",
        "(ask|query) {who} (a question|this question|this) [$that] {text}",
        "(ask|send) a (question|request) to {who} {text}",
        "(send|give) {who} a (question|request) {text}",
        "(find out from|inquire of) {who} {text}",
    ),
    "check": (
        "check [for|on] [if there are|if there is] [any|all] [$my] [$new] $mail",
        "check [my|the] [$new] $mail (for|of) [any|$new] [$new] $mail",
        "(check|see|look|find out|tell me) (if|whether) (i have|i've got|i got|i have"
        " got|there are|there is|there's|anyone wrote|anybody wrote me) [any] [$new]"
        " [$mail]",
        "[$my] [$new] $mail",
        "[are|is|were] [there] any [$new] $mail [for me|here|waiting|there|in]",
        "(is|are) there [$new] $mail [for me|waiting]",
        "(do|did|have|can|may) i [have|get|got|receive|received|see|read] [any|some|my]"
        " [$new] $mail [waiting]",
        "(have i|i have|i've) [got] [any] [$new] $mail",
        "(what|which) [$new] $mail (do i have|have i got|did i get|are there|are"
        " waiting|came in|have i received|are in my inbox|i have)",
        "$me [me] [all] [of] [$my] [all] [$new] $mail",
        "(what's|whats|what is) [new] in [$my] (inbox|mailbox|mail)",
        "(what's|whats|what is|anything) new",
        "(look|peek) (in|into|at) [$my] [$new] $mail",
        "anything [new] (for me|in [$my] (inbox|mailbox|mail))",
        "(is there|got|do i have|have i got) (anything|something) [new] [for me]",
        "any (news|reply|replies|answer|answers|response|responses)"
        " [yet|for me|from anyone]",
        "(did|has) (anyone|anybody|someone|somebody) (write|written|message|messaged"
        "|contact|contacted|reply|replied|answer|answered) [to] [me] [yet]",
        "got [any|new|my] [$new] $mail",
        "check now",
        "check",
        "(receive|collect|pull|pick up|retrieve|grab) [all] [$my] [$new] $mail",
        "you've got mail",
        "check in on [$my] $mail",
    ),
    "wait": (
        "wait (for|until|till) [there is|there are|i get|i have] [a|an|any|some|the]"
        " [next|$new] ($mail|reply|replies|answer|response) [arrive|arrives|comes]"
        " [for|up to|at most] [{time}]",
        "wait (for|up to) {time} for [a|an|any|some|the] [next|$new]"
        " ($mail|reply|answer|response)",
        "wait for {time}",
        "wait {time}",
        "wait",
    ),
    "agents": (
        "$me [all|all of] [the|our|other] [currently] [online|connected|active"
        "|available|registered|known|other] $ais [who are|that are] [$here]",
        "[all] [the] [active|online|connected] (agents|instances|ais|members|peers)",
        "$who [all] [currently] $here [right now]",
        "$who (out there|in [the|this|our] $bus|on [the|this|our] $bus)",
        "(show|show me|see|list|tell me|find out|check|know|let me know) $who"
        " [currently] $here",
        "(show|show me|see|list|tell me|check) who [is] $here",
        "who [all] is",
        "(which|what) $ais (are|is) [there|currently] [$here]",
        "(which|what) $ais (are there|do we have|exist|can i (talk|write|message) to)",
        "(is|are) (anyone|anybody|someone|somebody|any $ais|other $ais) [else] $here",
        "(who|whom) can i (talk|write|message|send|speak) [to]",
        "how many $ais are [there] [$here]",
        "anyone [else] $here",
        "anybody [else] $here",
        "$who $ais",
        "who $here",
        "roll call",
        "roster",
    ),
    "agent": (
        "(is|are) {agent} $here",
        "(check|see|tell me|find out|show me) (if|whether) {agent} is $here",
        "when was {agent} last (seen|here|online|active)",
    ),
    "rename_other": ("rename {agent} (to|as|into) {name}",),
    "reply": (
        "reply [with|$that] {said}",
        "$answer (with|$that) {said}",
        "$answer {colon} {text}",
        "$answer [back] [to] $sender [with|$that] {text}",
        "(tell|message|msg) (the sender|the last sender|whoever wrote last) [$that]"
        " {text}",
        "(send|write|give) [back] (a|the|my) (reply|answer|response) [to $sender]"
        " [with|$that] {text}",
        "$answer [back] to {agent} [with|$that] {text}",
        "$answer [back] to the last $msg (from|of|by) {agent} [with|$that] {text}",
    ),
    "reply_many": ("$answer [back] to {many} [with|$that] {text}",),
    "forward": (
        "(forward|fwd|relay|pass|pass on|resend) [$last] [on] to {who}",
        "(forward|fwd|relay|pass|pass on|resend|send) (the|my) (last|latest|newest)"
        " $msg [on] to {who}",
        "(forward|fwd) {who} $last",
        "(forward|fwd|relay|pass on|resend) [the] [last|latest|newest] $msg"
        " (from|of|by) {agent} [on] to {who}",
    ),
    "join": (
        "(join|subscribe|subscribe to|follow|enter|listen to) [the] [$group] {topic}"
        " [$group]",
        "(subscribe|sign) me [up] (to|for) [the] [$group] {topic}",
        "(join|subscribe to|follow|enter) [the] $group {plain_topic}",
        "(join|subscribe to|follow) the {plain_topic} (topic|channel)",
        "add me to [the] [$group] {topic}",
    ),
    "leave": (
        "(leave|unsubscribe|unsubscribe from|unfollow|quit|exit|part|get out of"
        "|stop following) [the] [$group] {topic} [$group]",
        "unsubscribe me from [the] [$group] {topic}",
        "(leave|unsubscribe from|unfollow) [the] $group {plain_topic}",
        "(leave|unsubscribe from|unfollow) the {plain_topic} (topic|channel)",
        "remove me from [the] [$group] {topic}",
    ),
    "auto_start": (
        "(start|enable|begin|activate|resume|restart|set|set up|use|do) $auto [$every]",
        "(turn|switch) on $auto [$every]",
        "(turn|switch) $auto on [$every]",
        "$auto on [$every]",
        "$auto $every",
        "(check|checking|read) [for] [$my] [$new] ($mail) (every|each|once every) "
        "{minutes}",
        "(check|checking|read) [for] [$my] [$new] ($mail) automatically [$every]",
        "(start|begin) checking [for] [$my] [$new] ($mail) [automatically] [$every]",
        "(every|each|once every) {minutes} check [for] [$my] [$new] ($mail)",
        "automatically check [for] [$my] [$new] ($mail) [$every]",
        "(change|set) $auto [interval] to [every] {minutes}",
    ),
    "auto_stop": (
        "(stop|disable|end|cancel|deactivate|quit|kill) $auto",
        "(turn|switch) off $auto",
        "(turn|switch) $auto off",
        "$auto off",
        "no more $auto",
        "stop checking [for] [$my] [$new] ($mail) [automatically]",
    ),
    "auto_status": (
        "is $auto (on|off|enabled|disabled|active|running|working|started)",
        "$auto status",
        "$auto",
        "[$me] [the] status of $auto",
        "(what's|what is|show|show me|check) [the] $auto status",
        "how often (are we|are you|am i|do we|do you|do i|is it|does it) $auto",
        "how often (are|do) (we|you|i) (check|checking) [for] [$my] [$new] [$mail]",
        "(when's|when is|when will) [the] next ($auto|check|look) [be]",
        "[the] next $auto",
        "(what's|what is) [the|my|our] $auto interval",
        "(what's|what) happened (with|to) $auto",
        "are (we|you) $auto",
        "am i $auto",
    ),
    "whoami": (
        "who am i",
        "(what's|whats|what is) my name",
        "(what|which) (name|agent) (am i|do i have)",
        "who are you",
        "whoami",
        "what am i (called|registered as)",
        "am i registered",
    ),
    "status": (
        "status",
        "[$me|check|what's|what is] [the] [$bus] status",
        "[$me|check] [the] status [of|of the] [the] [$bus]",
        "is [the] $bus (up|running|alive|ok|okay|working|on|there|down)",
        "how (is|are) [the] ($bus|things)",
        "how's [the] $bus",
        "is there a (broker|bus|network|server)",
    ),
    "history": (
        "$me [my|the] [message] history",
        "[message] history",
        "[$me] [my|the] (old|past|previous|earlier|last) $mail",
        "[$me] [my|the] [message] history (with|of) {agent}",
        "[$me] [the] $mail (with|from) {agent}",
        "what (did|has) {agent} (say|said|write|written|sent|send) [to me|last]",
        "(check|any|are there any|have i got any|do i have any) [for] [any] [$new]"
        " $mail from {agent}",
    ),
    "search": (
        "(search|look|grep) [$my] [$mail] for {text}",
        "(find|search) [all] [$my] $mail (about|with|containing|that say|that contain)"
        " {text}",
        "search [$my] [$mail] {said}",
    ),
    "help": (
        "help",
        "help me",
        "[what are] [the] commands",
        "what can (i|you) (say|do|type|ask|write)",
        "what (commands|words) (are there|do you know|do you understand)",
        "how does (this|it) work",
        "how do i use (this|it|ipcbus)",
        "show [me] [the] (help|commands)",
    ),
}

MEANS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "broadcast": ("send", {"to": "*"}),
    "future": ("send", {"future": True}),
    "text_first": ("send", {}),
    "agent": ("agents", {}),
}
"""Rows of `FORMS` that are other words for an action."""


@cache
def entries() -> tuple[Entry, ...]:
    """The table, compiled."""
    return tuple(_entries())


def _entries() -> Iterator[Entry]:
    for row, texts in FORMS.items():
        action, fixed = MEANS.get(row, (row, {}))
        for text in texts:
            yield Entry(action, compiled(text, SHARED), fixed, row == "text_first")


@cache
def real_words() -> frozenset[str]:
    """Words that are never a slip of the finger: all those of the table, and others."""
    known = {word for entry in entries() for word in literals(entry.form)}
    return REAL_WORDS | known
