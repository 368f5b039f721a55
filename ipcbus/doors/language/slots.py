"""The slots of a form, and what fills each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ipcbus.doors.language import receivers, texts
from ipcbus.doors.language.pattern import Filler

FILLERS: Final[Mapping[str, Filler]] = {
    "who": receivers.who,
    "name": receivers.name,
    "own_name": receivers.own_name,
    "agent": receivers.agent,
    "mention": receivers.mention,
    "many": receivers.many,
    "topic": receivers.topic,
    "plain_topic": receivers.plain_topic,
    "post": receivers.post,
    "text": texts.text,
    "colon": texts.colon,
    "said": texts.said,
    "text_to": texts.text_to,
    "minutes": texts.minutes,
    "time": texts.time,
}
