"""Somebody who is left out: "everyone except bob", "all but bob", "we deploy, not bob".

A message goes to all of many or to one: nobody can be left out. So these words must
not become the text of a message that goes to everyone, who is left out too. Where a
colon tells that they are text they never come here.
"""

from __future__ import annotations

import re
from typing import Final

from ipcbus.doors.language.lists import NO_NAMES

_SURELY: Final = (
    r"(?:except(?:ing)?|excluding|exempting|omitting|besides|other\s+than|apart\s+from"
    r"|aside\s+from|with\s+the\s+exception\s+of|leaving\s+out|but\s+not|and\s+not"
    r"|(?:who|which|that)(?:\s+is|\s+are|['\u2019]s)?(?:\s+not|n['\u2019]?t)"
    r"|who\s+isn['\u2019]?t|bar\s+for|save\s+for)"
)
"""Words that say so wherever they stand."""

_MAYBE: Final = r"(?:not|without|minus|save|bar|sans|skip)"
"""Words that do if a name follows: "not bob", but "not to deploy"."""

_NAME: Final = r"@?(?P<name>[\w.@-]{1,200})"
_TO_NAME: Final = rf"(?:(?:for|to|not)\s+){{0,2}}{_NAME}"
_MORE: Final = r"(?:\s?(?:,|&|\band\b|\bor\b)\s?@?[\w.@-]{1,200}){0,9}"

_FIRST: Final = re.compile(
    rf"\W*(?:(?:{_SURELY}|but)\b|{_MAYBE}\s+{_NAME})", re.IGNORECASE
)
"""How a text begins that was no text: "everyone / but bob hi"."""

_LAST: Final = re.compile(
    rf"(?:\b(?:{_SURELY}|but)|,\s*not)\s+{_TO_NAME}{_MORE}\s?[)\]]?\s?"
    r"(?::|[.!)\s]{0,9}\Z)",
    re.IGNORECASE,
)
"""Before a colon, or at the end: "we deploy, except bob"."""

_MANY: Final = re.compile(
    r"(?:\b(?:everyone|everybody|all|others|agents|instances|ais)(?:\s+else)?|#\S+)"
    rf"\W+(?:(?:\w+\s+){{0,3}}?(?:{_SURELY}|but)|not)\s+{_TO_NAME}",
    re.IGNORECASE,
)
"""In a sentence that fits no form: "let everyone but bob know"."""

LOOKED_AT: Final = 500
"""Letters at each end of a text that are looked at; a text may be long."""


def leaves_out(text: str) -> bool:
    """Whether the text of a message to many may say who shall not get it."""
    ends = _ends(text)
    for found in (_FIRST.match(ends), _LAST.search(ends)):
        if found is not None and (found["name"] or "").lower() not in NO_NAMES:
            return True
    return False


def is_of_many(sentence: str) -> bool:
    """Whether a sentence that is not understood speaks of all but somebody."""
    return _MANY.search(_ends(sentence)) is not None


def _ends(text: str) -> str:
    """The beginning and the end of `text`, with single blanks."""
    if len(text) > 2 * LOOKED_AT:
        text = f"{text[:LOOKED_AT]} / {text[-LOOKED_AT:]}"
    return " ".join(text.split())
