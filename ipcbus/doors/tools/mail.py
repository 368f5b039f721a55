"""What `send`, `inbox`, `ask` and `wait` do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ipcbus.doors.saving import save_all
from ipcbus.doors.text import LONG, safe_line
from ipcbus.doors.tools.desk import LEASE_S
from ipcbus.doors.tools.pages import (
    PAGE_BYTES,
    PAUSED,
    READ_BYTES,
    compact,
    fitting,
    piece,
)
from ipcbus.doors.tools.registry import MOST, MOST_WAIT_S
from ipcbus.doors.view import View, of_message, of_record
from ipcbus.errors import NoSuchMessage, TimedOut, UsageError
from ipcbus.protocol.messages import REPLY

if TYPE_CHECKING:
    from ipcbus.client.message import Message
    from ipcbus.client.pending import Pending
    from ipcbus.client.sync import Client
    from ipcbus.client.words import Record
    from ipcbus.doors.tools.desk import Desk

FEW: Final = 10
"""Messages of a page, unless another number is asked for."""

A_REPLY: Final = "a reply"
"""What an `ask` that was accepted says it waited for."""

SLACK_S: Final = 5.0
"""What a wait may take beyond its time before it is given up."""


# --- send --------------------------------------------------------------------


def send(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    client, to = desk.towards(args["to"], args.get("network"))
    reply_to = args.get("reply_to")
    said = ("thread", "reply_to", "future", "id")
    options: dict[str, Any] = {name: args[name] for name in said if name in args}
    if reply_to is not None:
        options["kind"] = REPLY
        options.setdefault("thread", _thread_of(client, reply_to))
    if "ttl_s" in args:
        options["ttl"] = args["ttl_s"]
    if files := args.get("attach"):
        options["attach"] = tuple(client.upload(_path(one)) for one in files)
    receipt = client.send(to, args["text"], **options)
    found: dict[str, Any] = {"id": receipt.id, "state": receipt.state}
    if receipt.to != to:
        found["to"] = receipt.to
    if receipt.recipients != 1:
        found["recipients"] = receipt.recipients
    if receipt.again:
        found["again"] = True
    return found


def _path(text: str) -> Path:
    """No system takes a NUL in a path, and Python does not say so by an `OSError`."""
    if "\0" in text:
        raise UsageError(reason=f"{safe_line(text)} is no path: it has a NUL in it")
    return Path(text)


def _thread_of(client: Client, id_: str) -> str | None:
    """Answers stay in the conversation of what they answer, as from every door."""
    try:
        asked = client.show(id_, body_limit=0).header
    except NoSuchMessage:
        return None  # not kept any more; the reference still says what is answered
    return asked.thread or asked.id


# --- inbox and wait ----------------------------------------------------------


def inbox(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    if "read" in args:
        return _read(desk, args)
    if args.get("offset") or "save" in args:
        raise UsageError(reason="inbox: offset and save need the id of a message: read")
    if args.get("history") or args.keys() & {"search", "with", "thread", "before"}:
        return _past(desk, args)
    if args.get("peek"):
        return _peek(desk, args)
    page = _page(desk, args)
    if not page["messages"]:
        return page | news(desk.clients(args.get("network")), 0).said()
    return page


def wait(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    clients = [*desk.clients(args.get("network"))]
    found = news(clients, args.get("timeout_s", MOST_WAIT_S))
    return (_page(desk, args) if found.waiting else {"messages": []}) | found.said()


class News(NamedTuple):
    """How many messages wait that are more than acks; whether all is paused."""

    waiting: int
    paused: bool

    def said(self) -> dict[str, str]:
        return {"paused": PAUSED} if self.paused else {}


def news(clients: Iterable[Client], timeout: float) -> News:
    """What there is, waited for if there is nothing; takes none of it.

    The broker ends the wait of a session when the session begins another.
    """
    came = Event()
    asked = [client.start_call("news", 0, int(timeout * 1000)) for client in clients]
    for each in asked:
        each.add_done_callback(partial(_ring, came, asked))
    came.wait(timeout + SLACK_S)
    states = [each.result(0)[0] for each in asked if each.done()]
    paused = len(states) == len(asked) and all(state[3] for state in states)
    return News(sum(state[0] for state in states), paused)


def _ring(came: Event, asked: Sequence[Pending[Any]], one: Pending[Any]) -> None:
    """It is enough that one has news, failed, or that nobody waits any more."""
    if one.error() or one.value()[0][0] or all(each.done() for each in asked):
        came.set()


def _page(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    """A page of new mail, of all networks or one."""
    clients = [*desk.clients(args.get("network"))]
    views, remaining = _gather(desk, clients, args.get("limit", FEW))
    return _document(desk, views, remaining=remaining)


def _gather(desk: Desk, clients: Sequence[Client], most: int) -> tuple[list[View], int]:
    """What is there, and how many are left."""
    views: list[View] = []
    remaining, room = 0, PAGE_BYTES
    for client in clients:
        if len(views) >= most or room <= 0:
            remaining += _waiting(client)
            continue
        messages, more = client.fetch(most - len(views), room, lease=LEASE_S)
        desk.show(messages)
        views += map(of_message, messages)
        room -= sum(len(message.raw_body) for message in messages)
        remaining += more
    return views, remaining


def _waiting(client: Client) -> int:
    (_, _, _, waiting), _ = client.call("whoami")
    assert isinstance(waiting, int)
    return waiting


def _document(desk: Desk, views: Sequence[View], **more: Any) -> dict[str, Any]:
    wide = desk.is_wide
    found = {"messages": [compact(view, desk.agent, wide=wide) for view in views]}
    return found | {name: value for name, value in more.items() if value}


# --- what is not new ---------------------------------------------------------


def _peek(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    views: list[View] = []
    waiting = 0
    for client in desk.clients(args.get("network")):
        page = client.peek(args.get("limit", FEW), body_limit=LONG)
        views += [of_record(one, client.network) for one in page.records]
        waiting += _waiting(client)
    views = views[: min(args.get("limit", FEW), fitting(views))]
    return _document(desk, views, remaining=max(0, waiting - len(views)))


def _past(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    """History or search, newest first; `next` is where the page after begins."""
    client = desk.client(args.get("network"))
    limit, before = args.get("limit", FEW), args.get("before")
    if (query := args.get("search")) is not None:
        page = client.search(query, limit, before=before, body_limit=LONG)
    else:
        other, thread = args.get("with"), args.get("thread")
        page = client.history(
            limit, before=before, other=other, thread=thread, body_limit=LONG
        )
    views = [of_record(one, client.network) for one in page.records]
    shown = fitting(views)
    has_more = page.more or shown < len(views)
    following = page.records[shown - 1].seq if has_more and views else 0
    return _document(desk, views[:shown], next=following)


def _read(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    """One message, or a part of a long one, and what is attached to it."""
    id_, offset = args["read"], args.get("offset", 0)
    client, record = _find(desk, id_, offset, args.get("network"))
    view = of_record(record, client.network)
    found = compact(view, desk.agent, wide=desk.is_wide)
    found.pop("more", None)
    if isinstance(view.body, str):
        found["text"], following = piece(record, offset)
        if following is not None:
            found |= {"size": offset + record.size, "next": following}
    if folder := args.get("save"):
        saved = save_all(client, record.header, _path(folder).expanduser())
        found["saved"] = [safe_line(str(path)) for path in saved]
    return found


def _find(
    desk: Desk, id_: str, offset: int, network: str | None
) -> tuple[Client, Record]:
    """The message of that id, in whichever of the networks it is."""
    missing: NoSuchMessage | None = None
    for client in desk.clients(network):
        try:
            return client, client.show(id_, offset=offset, body_limit=READ_BYTES)
        except NoSuchMessage as error:
            missing = error
    assert missing is not None
    raise missing


# --- ask ---------------------------------------------------------------------


def ask(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    """Ask and wait, or go on waiting. The answer counts as shown."""
    timeout = args.get("timeout_s", MOST_WAIT_S)
    if "id" in args:
        if args.keys() & {"to", "text"}:
            reason = "ask: id only goes on waiting; leave out to and text, or id to ask"
            raise UsageError(reason=reason)
        client = desk.client(args.get("network"))
        found = _answer(desk, client, partial(client.wait_reply, args["id"]), timeout)
        return found if "answer" in found else _read_before(desk, client, found)
    if not args.keys() >= {"to", "text"}:
        raise UsageError(reason="ask: give to and text, or the id to go on waiting")
    client, to = desk.towards(args["to"], args.get("network"))
    question = partial(client.ask, to, args["text"], thread=args.get("thread"))
    return _answer(desk, client, question, timeout)


def _answer(
    desk: Desk, client: Client, wait_for: Callable[..., Message], timeout: float
) -> dict[str, Any]:
    try:
        answer = wait_for(timeout=timeout, ack=False)
    except TimedOut as error:
        if error.facts.get("what") != A_REPLY:
            raise  # it was not even accepted
        return {"state": "waiting", "id": error.id, "next": "call ask with this id"}
    answer.extend(LEASE_S)
    desk.show([answer])
    return {"answer": compact(of_message(answer), desk.agent, wide=desk.is_wide)}


def _read_before(desk: Desk, client: Client, waiting: dict[str, Any]) -> dict[str, Any]:
    """An answer that was read before will not come again, and a model that does not
    know it would wait for ever."""
    id_ = waiting["id"]
    try:
        asked = client.show(id_, body_limit=0).header.to
    except NoSuchMessage:
        return waiting  # nothing is known of it, or not any more
    for record in client.history(MOST, other=asked, body_limit=LONG).records:
        if record.header.reply_to == id_ and record.state == "done":
            view = of_record(record, client.network)
            return {"answer": compact(view, desk.agent, wide=desk.is_wide)}
    return waiting
