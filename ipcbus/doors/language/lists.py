"""Words that mean something, or must not be taken for a name.

Whoever does bear such a name is reached by `@name`, or by the plain commands.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NO_NAMES: Final = _words(
    """
    a an the this that these those my your our his her its their mine yours ours theirs
    i me you he she it we they him us them myself yourself himself herself itself
    ourselves themselves someone somebody anyone anybody nobody noone something anything
    nothing everything who whom whose what which when where why how if whether because
    to for from of in on at by with about into onto as than then so but and or nor not
    no yes is are was were be been being am do does did has have had will would can
    could should shall may might must please pls plz thanks thank any some every each
    all both other others another more most here there now later today tomorrow again
    back message messages msg msgs mail mails email note inbox mailbox everyone
    everybody sent received failed delivered unread new latest last next instance
    instances agent agents called named name don't dont never hi hello via also only
    asap soon maybe whenever anytime tonight
    """
)
"""Words that no sentence uses as somebody's name."""

NO_NAMES_BY_THEMSELVES: Final = _words(
    """
    done ready busy fine ok okay good great well working blocked stuck online
    offline away sorry happy sad tired sure unsure afraid aware able unable alive
    awake asleep right wrong late early free available active idle finished hungry
    lost confused curious glad old bored broken convinced certain urgent important
    true false weird strange nice cool awesome fun hard easy bad worse better best
    perfect terrible welcome home dead alone interested waiting sleeping listening
    correct excited impressed proud serious safe slow fast stopped paused starting
    stopping leaving testing root aboard out off up down over through first second
    just still already always almost really very too quite trying going looking
    getting
    """
)
"""What "I am ..." is more often said of than names; "register as ready" is plain."""

REAL_WORDS: Final = _words(
    """
    sent told asked tall tale tells tail toll till hell bell cell fell sell well yell
    seed seen sand bend lend mend tend spend said lost last lest fist mist lust cheek
    chuck chick coin loin heave leaf relay replay repay wart want went wand walk cast
    nose rote hold cold told gold bold fold head read real road bread least lease
    massage passage sage page past port pest pose mall main mild malls meal then than
    thin when them those these there their three where here hare high hope live love
    like line link lift post most must just joint join point alert alter sleep stay
    stag state stats stout shop step slop ship shot show slow snow start stare smart
    stark stars tart end and ask task mask basic track trace every very wave have save
    name same game fame came norm form from farm warm word work ward
    """
)
"""Words of their own, one slip away from a word of command."""

NO_TEXT: Final = _words(
    """
    a an the this that it them these those my your our one another new quick short
    something anything message messages msg msgs mail email note dm line memo
    """
)
"""Words that say nothing by themselves: "send a message to bob" has no text."""

EVERYONE: Final = (
    ("everyone",),
    ("everyone", "else"),
    ("everybody",),
    ("everybody", "else"),
    ("all", "agents"),
    ("all", "the", "agents"),
    ("all", "other", "agents"),
    ("all", "instances"),
    ("all", "the", "instances"),
    ("all", "ais"),
    ("all", "the", "ais"),
    ("all", "the", "others"),
    ("all", "others"),
    ("all", "of", "them"),
    ("all", "of", "you"),
    ("every", "agent"),
    ("each", "agent"),
    ("the", "others"),
    ("the", "whole", "network"),
    ("*",),
)
"""What means all others; `all` alone does only where it cannot begin the text."""

GROUPS: Final = _words("team group channel topic folks people guys crew squad room")
"""What makes "the frontend team" of a word: a topic, if somebody has made one."""

LEAD_INS: Final = tuple(
    tuple(line.split())
    for line in """
    hey
    hi
    hello
    ok
    okay
    so
    well
    now
    then
    and
    please
    pls
    plz
    kindly
    just
    quickly
    ipcbus
    ipc
    can you
    could you
    would you
    will you
    can u
    i want to
    i wanna
    i would like to
    i'd like to
    i'd like you to
    i would like you to
    i want you to
    i need to
    i need you to
    let's
    lets
    let us
    go ahead and
    try to
    """.strip().splitlines()
)
"""What stands before a command and changes nothing."""

QUESTION_LEAD_INS: Final = frozenset({"can", "could", "would", "will"})
"""Those that make a question of a sentence, whose mark may or may not be text."""

TRAILS: Final = tuple(
    tuple(line.split())
    for line in """
    please
    pls
    plz
    thanks
    thank you
    thx
    now
    right now
    for me
    again
    today
    ok
    okay
    ipcbus
    quickly
    then
    yet
    if you can
    at the moment
    currently
    """.strip().splitlines()
)
"""What may stand behind a command that has no text."""

NEGATIONS: Final = _words(
    "don't dont never not doesn't won't wont avoid without unsend"
)

NUMBERS: Final = {
    name: number
    for number, names in (
        (0.5, "half"),
        (1, "one a an"),
        (2, "two"),
        (3, "three"),
        (4, "four"),
        (5, "five"),
        (6, "six"),
        (7, "seven"),
        (8, "eight"),
        (9, "nine"),
        (10, "ten"),
        (12, "twelve"),
        (15, "fifteen"),
        (20, "twenty"),
        (30, "thirty"),
        (40, "forty"),
        (45, "forty-five"),
        (60, "sixty"),
        (90, "ninety"),
    )
    for name in names.split()
}

UNITS: Final = {
    name: seconds
    for seconds, names in (
        (1, "s sec secs second seconds"),
        (60, "m min mins minute minutes"),
        (3600, "h hr hrs hour hours"),
    )
    for name in names.split()
}
