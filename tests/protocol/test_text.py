"""PROTOCOL.md and the code say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import pytest
from msgpack import packb

from ipcbus.broker.ends import CODES
from ipcbus.errors import BY_CODE
from ipcbus.protocol import limits
from ipcbus.protocol.calls import METHODS, Role
from ipcbus.protocol.codec import decode_broker, decode_client, encode, encode_deliver
from ipcbus.protocol.messages import (
    SENDABLE_KINDS,
    STATES,
    Accepted,
    Answer,
    BrokerMessage,
    Bye,
    Call,
    ClientMessage,
    Closed,
    Credit,
    Deliver,
    Draft,
    Header,
    Hello,
    Meta,
    Ping,
    Pong,
    RefusedCall,
    Return,
    Send,
    Settle,
    Settled,
    Verb,
    Welcome,
    Xfer,
)
from ipcbus.protocol.pieces import pack_header, unpack_meta

TEXT = (Path(__file__).parents[2] / "PROTOCOL.md").read_text()

CLASSES: dict[Verb, Any] = {
    Verb.HELLO: Hello,
    Verb.BYE: Bye,
    Verb.PING: Ping,
    Verb.SEND: Send,
    Verb.CREDIT: Credit,
    Verb.SETTLE: Settle,
    Verb.CALL: Call,
    Verb.XFER: Xfer,
    Verb.RETURN: Return,
    Verb.WELCOME: Welcome,
    Verb.CLOSED: Closed,
    Verb.PONG: Pong,
    Verb.ACCEPTED: Accepted,
    Verb.DELIVER: Deliver,
    Verb.SETTLED: Settled,
    Verb.ANSWER: Answer,
    Verb.REFUSED: RefusedCall,
}


class Example(NamedTuple):
    """A block of the text: who says it, the head as values and as bytes, the body."""

    side: str
    verb: str
    fields: Any
    head: bytes
    body: bytes


def _table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, its own head left out."""
    section = TEXT.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None, heading
    lines = rows[0].splitlines()[2:]
    cells = [line.replace("`", "").split("|")[1:-1] for line in lines]
    return [[cell.strip() for cell in row] for row in cells]


def _examples() -> list[Example]:
    found = []
    for block in re.findall(r"^```example\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        told = re.fullmatch(
            r"([CB]): (\w+)\nhead (.*)\n((?: +[0-9a-f ]+\n)+)body (\".*\")\n", block
        )
        assert told is not None, block
        side, verb, fields, head, body = told.groups()
        value = _value(fields)
        found.append(
            Example(side, verb, value, bytes.fromhex(head), json.loads(body).encode())
        )
    return found


def _value(text: str) -> Any:
    """JSON, in which h'00ff' stands for bytes."""

    def bytes_of(found: dict[str, Any]) -> Any:
        return bytes.fromhex(found["h"]) if set(found) == {"h"} else found

    quoted = re.sub(r"h'([0-9a-f]*)'", r'{"h": "\1"}', text)
    return json.loads(quoted, object_hook=bytes_of)


EXAMPLES = _examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.verb)
def test_an_example_is_the_bytes_it_shows(example: Example) -> None:
    assert packb(example.fields).hex(" ") == example.head.hex(" ")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.verb)
def test_an_example_is_understood_and_said_again_as_it_stands(example: Example) -> None:
    message: ClientMessage | BrokerMessage
    if example.side == "C":
        message = decode_client(example.head, example.body)
    else:
        message = decode_broker(example.head, example.body)
    assert type(message) is CLASSES[Verb[example.verb]]
    if isinstance(message, Deliver):
        headers = [pack_header(header) for header in message.headers]
        again = encode_deliver(message.seqs, message.attempts, headers, message.bodies)
    else:
        again = encode(message)
    assert again == (example.head, example.body)


def test_every_verb_has_an_example() -> None:
    assert {example.verb for example in EXAMPLES} == {verb.name for verb in Verb}


def test_the_example_of_a_meta_is_readable() -> None:
    [sent] = [example for example in EXAMPLES if example.verb == "SEND"]
    draft = Draft(*sent.fields[2][1])
    assert unpack_meta(draft.meta) == Meta(labels=["ci"], data={"ok": True})


def test_the_grammar_has_each_verb_with_its_number_and_its_fields() -> None:
    lines = re.sub(r"\n {12,}", " ", TEXT)
    told = re.findall(r"^    ([CB]):([A-Z]+) +=? *(\d+) +(.*)$", lines, re.MULTILINE)
    assert {verb: int(number) for _, verb, number, _ in told} == {
        verb.name: verb.value for verb in Verb
    }
    for side, verb, number, fields in told:
        assert (side == "B") == (int(number) >= 64)
        names = re.findall(r"(\w+):", _flat(fields))
        wanted = [field for field in CLASSES[Verb[verb]]._fields if "bod" not in field]
        assert [name for name in names if name != "sizes"] == wanted, verb


def _flat(fields: str) -> str:
    """The fields without what stands in brackets behind them."""
    while "[" in fields:
        fields = re.sub(r"\[[^\[\]]*\]", "", fields)
    return fields


@pytest.mark.parametrize(
    ("name", "kind"), [("draft", Draft), ("header", Header), ("meta", Meta)]
)
def test_the_grammar_has_the_fields_of_headers_in_their_order(
    name: str, kind: Any
) -> None:
    told = re.search(rf"^    {name} +=[^\[]*\[([^\]]*)\]", TEXT, re.MULTILINE)
    assert told is not None
    wanted = ["from" if field == "sender" else field for field in kind._fields]
    assert told[1].split() == wanted


def test_the_table_of_a_draft_has_its_fields() -> None:
    rows = _table("### SEND, ACCEPTED: into mailboxes")
    assert [row[0] for row in rows] == list(Draft._fields)
    kinds = TEXT.split("| `kind` |", 1)[1].split("\n", 1)[0]
    assert set(re.findall(r"`(\w+)`", kinds)) == SENDABLE_KINDS | {"bounce"}


def test_every_state_of_a_send_is_told() -> None:
    section = TEXT.split("An outcome is one of", 1)[1].split("\n\n", 2)[1]
    told = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert set(told) == STATES


def test_the_table_of_calls_is_the_table_of_the_code() -> None:
    assert _table("## 5. Calls") == [
        [
            name,
            ", ".join(role.value for role in Role if role in method.role),
            ", ".join(
                f"{parameter.name}:{'text' if parameter.type is str else 'uint'}"
                + "?" * parameter.optional
                for parameter in method.parameters
            ),
            method.answer,
        ]
        for name, method in METHODS.items()
    ]


def test_the_table_of_errors_is_the_tree_of_the_code() -> None:
    told = {row[0]: (int(row[1]), row[2]) for row in _table("## 7. Errors")}
    assert told == {
        code: (kind.exit_code, ", ".join(_facts_of(kind.sentence)))
        for code, kind in BY_CODE.items()
    }


def _facts_of(sentence: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(sentence) if name]


def test_the_table_of_limits_is_the_module_of_limits() -> None:
    told = {row[0]: row[1] for row in _table("## 8. Limits")}
    units = {"KIB", "MIB"}
    assert told == {
        name: str(value)
        for name, value in vars(limits).items()
        if name.isupper() and name not in units
    }


def test_the_table_of_bounces_is_that_of_the_broker() -> None:
    assert {row[0]: row[1] for row in _table("## 6. Bounces")} == CODES


def test_the_version_in_the_title_is_that_of_the_code() -> None:
    title = TEXT.splitlines()[0]
    assert title.endswith(f"version {limits.MAJOR}.{limits.MINOR}")


def test_every_table_row_says_what_it_is_for() -> None:
    for heading in ("## 6. Bounces", "## 7. Errors", "## 8. Limits"):
        for row in _table(heading):
            assert row[-1], row
