"""Tools and resources as the SDK's low-level `Server`, for both eras of the protocol.

The low-level one, because the schemas and the words are the registry's to the letter.
An answer is one text with compact JSON: the same again as structured content would
cost a model its tokens twice.

Tools block, so they run in worker threads; a call that was cancelled leaves its thread
behind, which ends by itself, and what that still fetches is given back unseen.
"""

from __future__ import annotations

import json
from traceback import print_exception
from typing import Any, Final

import anyio
import mcp_types as types
from anyio import to_thread
from anyio.lowlevel import checkpoint_if_cancelled
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourceUpdated,
)
from mcp.shared.exceptions import MCPError

from ipcbus.doors.mcp.desks import ONLY, Desks
from ipcbus.doors.mcp.watching import AGENTS, INBOX, STATUS, Interest, Watch
from ipcbus.doors.text import safe_line
from ipcbus.doors.tools.calls import call, failure
from ipcbus.doors.tools.desk import Desk, Turn
from ipcbus.doors.tools.formats import formatted
from ipcbus.doors.tools.registry import INSTRUCTIONS, TOOLS
from ipcbus.errors import IpcbusError
from ipcbus.protocol.address import check_name
from ipcbus.version import __version__

Context = ServerRequestContext[Any, Any]

NAME: Final = "ipcbus"
SESSION_HEADER: Final = "mcp-session-id"

AGENT_HEADER: Final = "ipcbus-agent"
"""Of a client over HTTP: who it is. Several may use one server, and not all models
that forget to say it (`profile`) should be the same agent."""

SLOW: Final = frozenset({"ask", "wait"})
"""They may take 50 s, so the others never queue behind them."""

MOST_SLOW: Final = 64
MOST_QUICK: Final = 32
"""Calls at once, each in a thread; more of them wait for their turn."""

READ_ONLY: Final = frozenset({"agents", "status"})

RESOURCES: Final = {
    INBOX: ("inbox", {"peek": True}, "Mail that waits; looking does not take it."),
    AGENTS: ("agents", {}, "Who can be written to."),
    STATUS: ("status", {}, "The state of the network and of your mailbox."),
}
"""The tool that is each resource, its arguments, and its description."""

JSON: Final = "application/json"


class Service:
    """What the server answers; one for the whole process."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self.watch = Watch(desks)
        self._slow = anyio.CapacityLimiter(MOST_SLOW)
        self._quick = anyio.CapacityLimiter(MOST_QUICK)
        self._tools = types.ListToolsResult(tools=tools())
        self._resources = types.ListResourcesResult(resources=resources())

    def server(self) -> Server[Any]:
        return Server(
            NAME,
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_read_resource=self._read_resource,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=self._listen,
        )

    # --- tools -------------------------------------------------------------

    async def _list_tools(self, ctx: Context, params: object) -> types.ListToolsResult:
        return self._tools

    async def _call_tool(
        self, ctx: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        arguments = {} if params.arguments is None else params.arguments
        try:
            turn = self._desk_of(ctx).turn()
        except IpcbusError as error:
            return _result({"error": failure(error)})
        return _result(await self._run(turn, params.name, arguments))

    def _desk_of(self, ctx: Context) -> Desk:
        agent = agent_of(ctx)
        return self._desks.of(client_of(ctx), check_name(agent) if agent else None)

    async def _run(self, turn: Turn, name: str, args: object) -> dict[str, Any]:
        limiter = self._slow if name in SLOW else self._quick
        try:
            answer = await to_thread.run_sync(
                _carried_out, turn, name, args, limiter=limiter, abandon_on_cancel=True
            )
            # Cancelled just now, it will not be answered either. Nothing is awaited
            # from here until the answer is written, so nothing can come between.
            await checkpoint_if_cancelled()
        except BaseException:
            turn.abandon()
            raise
        turn.answered()
        return answer

    # --- resources ---------------------------------------------------------

    async def _list_resources(
        self, ctx: Context, params: object
    ) -> types.ListResourcesResult:
        return self._resources

    async def _read_resource(
        self, ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        name, args, _ = RESOURCES[_known(params.uri)]
        # A client may look at any time for its own reasons: no sign of the model's.
        turn = self._desk(ctx).turn(is_sign=False)
        answer = await self._run(turn, name, args)
        if "error" in answer:
            error = answer["error"]
            raise MCPError(types.INTERNAL_ERROR, error["message"], error)
        text = _compact(answer)
        content = types.TextResourceContents(uri=params.uri, mime_type=JSON, text=text)
        return types.ReadResourceResult(
            contents=[content], ttl_ms=0, cache_scope="private"
        )

    def _desk(self, ctx: Context) -> Desk:
        try:
            return self._desk_of(ctx)
        except IpcbusError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error), failure(error)) from error

    # --- subscriptions -----------------------------------------------------

    async def _subscribe(
        self, ctx: Context, params: types.SubscribeRequestParams
    ) -> types.EmptyResult:
        """Of the handshake era: until it unsubscribes or goes."""
        key, uri = client_of(ctx), _known(params.uri)
        tell = ctx.session.send_resource_updated
        await self.watch.add((key, uri), Interest(key, self._desk(ctx), [uri], tell))
        return types.EmptyResult()

    async def _unsubscribe(
        self, ctx: Context, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        self.watch.drop((client_of(ctx), params.uri))
        return types.EmptyResult()

    async def _listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Of the modern era: as long as the request lives. A bus for each, because one
        client's mail is no news for another."""
        bus = InMemorySubscriptionBus()
        wanted = params.notifications.resource_subscriptions or ()
        uris = [uri for uri in wanted if uri in RESOURCES]

        async def tell(uri: str) -> None:
            await bus.publish(ResourceUpdated(uri=uri))

        token = object()
        if uris:
            interest = Interest(client_of(ctx), self._desk(ctx), uris, tell)
            await self.watch.add(token, interest)
        try:
            return await ListenHandler(bus)(ctx, params)
        finally:
            self.watch.drop(token)


def tools() -> list[types.Tool]:
    """The registry's, with hints: a bus is a closed world and nothing is destroyed on
    it. Codex asks a person, or refuses, before each call of a tool without them."""
    return [
        types.Tool(
            name=tool["name"],
            description=tool["description"],
            input_schema=tool["inputSchema"],
            annotations=types.ToolAnnotations(
                read_only_hint=True if tool["name"] in READ_ONLY else None,
                destructive_hint=False,
                open_world_hint=False,
            ),
        )
        for tool in formatted(TOOLS, "mcp")
    ]


def resources() -> list[types.Resource]:
    return [
        types.Resource(uri=uri, name=name, description=text, mime_type=JSON)
        for uri, (name, _, text) in RESOURCES.items()
    ]


def client_of(ctx: Context) -> str:
    """The key of who asks, as `Desks` knows them."""
    if ctx.request is None:
        return ONLY
    session = ctx.request.headers.get(SESSION_HEADER)
    if session:
        return of_session(session)
    params = ctx.session.client_params
    program = params.client_info.name if params else ""
    return f"client {agent_of(ctx)} {program}"


def agent_of(ctx: Context) -> str:
    """Who the client says it is, if it says so."""
    return "" if ctx.request is None else ctx.request.headers.get(AGENT_HEADER, "")


def of_session(session: str) -> str:
    return f"session {session}"


def _known(uri: str) -> str:
    if uri not in RESOURCES:
        known = ", ".join(RESOURCES)
        reason = f"there is no resource {uri[:80]!r}; there are {known}"
        raise MCPError(types.INVALID_PARAMS, reason)
    return uri


def _carried_out(turn: Turn, name: str, args: object) -> dict[str, Any]:
    with turn.taken() as desk:
        try:
            return call(desk, name, args)
        except Exception as error:  # noqa: BLE001  a fault must not end the server
            print_exception(error)
            reason = safe_line(f"a fault in ipcbus: {error!r}")
            return {"error": {"code": IpcbusError.code, "message": reason}}


def _result(answer: dict[str, Any]) -> types.CallToolResult:
    content = types.TextContent(type="text", text=_compact(answer))
    return types.CallToolResult(content=[content], is_error="error" in answer)


def _compact(answer: dict[str, Any]) -> str:
    """Letters as they are: escapes of them would be several tokens each. What deceives
    or hides was escaped by the tools."""
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False, default=str)
