"""What of a message can be searched, and how a query is read. PURE.

A query is words that must all occur: `green build*  "release notes"`. A star at the
end of a word finds what begins with it; quotes make a phrase. Words are runs of
letters and digits; case and accents do not count.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final, NamedTuple

from ipcbus.errors import InvalidMessage, RemoteProtocolError
from ipcbus.protocol.messages import Meta
from ipcbus.protocol.pieces import unpack_header, unpack_meta

MAX_TERMS: Final = 32
"""Terms of a query: each is a scan of the index."""

MAX_INDEXED: Final = 256 * 1024
"""Bytes of a body that are indexed. Longer ones are data, not prose."""

_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'"([^"]*)"(\*?)|([^\s"]+)')


class Term(NamedTuple):
    """Words that must follow each other; the last may be a beginning only."""

    words: tuple[str, ...]
    prefix: bool


def parse_query(query: str) -> list[Term]:
    """The terms of a query. Raises `InvalidMessage`."""
    if query.count('"') % 2:
        raise _bad("a quote is not closed")
    terms = []
    for phrase, star, plain in _TERM.findall(query):
        prefix = bool(star) or plain.endswith("*")
        if words := tokens(phrase or plain):
            terms.append(Term(tuple(words), prefix))
    if not terms:
        raise _bad("it has no word")
    if len(terms) > MAX_TERMS:
        raise _bad(f"it has more than {MAX_TERMS} terms")
    return terms


def to_fts(terms: list[Term]) -> str:
    """The query in the language of FTS5, in which nothing of it can be an operator."""
    return " AND ".join(
        f'"{" ".join(term.words)}"{" *" if term.prefix else ""}' for term in terms
    )


def tokens(text: str) -> list[str]:
    """The words of a text as they are compared."""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text)
        text = "".join(x for x in letters if not unicodedata.combining(x))
    return _WORD.findall(text.lower())


def occurs(term: Term, words: list[str]) -> bool:
    """Whether a term is somewhere in a text."""
    *head, last = term.words
    for at in range(len(words) - len(head)):
        end = words[at + len(head)]
        if words[at : at + len(head)] == head and (
            end.startswith(last) if term.prefix else end == last
        ):
            return True
    return False


def searchable(header: bytes, body: bytes) -> tuple[list[str], list[str]]:
    """The words of a message: of its body if it is text, and of its data.

    A header that cannot be read has no data; that a message cannot be found must not
    keep it from being stored.
    """
    try:
        meta = unpack_meta(unpack_header(header).meta)
    except RemoteProtocolError:
        meta = Meta()
    is_text = meta.content_type is None or meta.content_type.startswith("text/")
    text = body[:MAX_INDEXED].decode("utf-8", "ignore") if is_text else ""
    return tokens(text), tokens(" ".join(_texts(meta.data)))


def _texts(data: Any) -> list[str]:
    """Every key and value of structured data, as text."""
    if isinstance(data, dict):
        return [text for item in data.items() for part in item for text in _texts(part)]
    if isinstance(data, list):
        return [text for part in data for text in _texts(part)]
    return [] if data is None or isinstance(data, bytes) else [str(data)]


def _bad(reason: str) -> InvalidMessage:
    return InvalidMessage(field="query", reason=reason)
