"""Plain sentences, understood: "tell bob the build is green".

    parse(text) -> Intent        what to do, and with what
                 | Unsure        what it could mean, and what to type instead

    words      a sentence as words, and how near two words are
    pattern    forms of sentences, and how a sentence is matched against one
    receivers  the gaps of a form: a name, a receiver, a topic
    texts      the text, as it was typed, and times
    slots      which gap is filled by what
    lists      words that mean something, or must not be taken for a name
    forms      the table of all forms
    leftout    "everyone but bob", which nothing here can send to
    intents    what was understood, and how to say it plainly
    doubts     why a sentence was not carried out
    reading    `parse`: all of the above
    acting     carrying an intent out, with the tools of models

But for `acting`, nothing here waits, sends or looks at anything but the sentence. The
rule of the house: a wrong guess is worse than a question, so whatever has two readings
is not carried out, and the text to send is a slice of what was typed, never put
together anew.
"""

from ipcbus.doors.language.intents import Intent, Unsure, plainly
from ipcbus.doors.language.reading import parse

__all__ = ["Intent", "Unsure", "parse", "plainly"]
