"""A model behind the SDK's own client, for tests that are no coroutines."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, NamedTuple

import anyio
import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp.client.client import ConnectMode
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import (
    CallToolResult,
    EmptyResult,
    Implementation,
    ListToolsResult,
    ReadResourceResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from tests.doors.mcp.conftest import quiet_environment

COMMAND = (sys.executable, "-m", "ipcbus", "mcp")
WAIT_S = 20.0
"""Seconds that anything may take here; far more than it does."""

MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
MODES: dict[str, ConnectMode] = {MODERN: "auto", HANDSHAKE: "legacy"}
"""How the SDK's client is made to speak each era."""


class Model:
    """Calls tools as a model does. Any thread may use it."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal = portal
        self.client = client
        self.updated: list[str] = []

    def call(self, name: str, /, **args: Any) -> dict[str, Any]:
        """The answer of a tool, which is one text of compact JSON."""
        return answer_in(self.begin(name, **args).result(WAIT_S))

    def begin(self, name: str, /, **args: Any) -> Future[CallToolResult]:
        """The same without waiting for it; cancelling it cancels the call."""
        return self._portal.start_task_soon(self._call, name, args)

    async def _call(self, name: str, args: dict[str, Any]) -> CallToolResult:
        found = await self.client.call_tool(name, args)
        assert isinstance(found, CallToolResult)
        return found

    def tools(self) -> ListToolsResult:
        return self._portal.call(self.client.list_tools)

    def resources(self) -> list[str]:
        listed = self._portal.call(self.client.list_resources)
        return [str(one.uri) for one in listed.resources]

    def read(self, uri: str) -> ReadResourceResult:
        return self._portal.call(self.client.read_resource, uri)

    def look(self, uri: str) -> Any:
        (content,) = self.read(uri).contents
        assert isinstance(content, TextResourceContents)
        assert content.mime_type == "application/json"
        return json.loads(content.text)

    @contextmanager
    def subscribed(self, *uris: str) -> Iterator[None]:
        """Changes come into `updated`, in the way of the era."""
        self.updated.clear()
        if self.client.protocol_version == MODERN:
            with self._portal.wrap_async_context_manager(self._listening(uris)):
                yield
            return
        # Not by the client's own methods: they warn that the modern era has no such
        # requests, and a warning is an error here.
        for uri in uris:
            self._request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)))
        yield
        for uri in uris:
            self._request(UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri)))

    def _request(self, request: SubscribeRequest | UnsubscribeRequest) -> None:
        self._portal.call(self.client.session.send_request, request, EmptyResult)

    @asynccontextmanager
    async def _listening(self, uris: Sequence[str]) -> AsyncIterator[None]:
        async def note() -> None:
            async for event in stream:
                assert isinstance(event, ResourceUpdated)
                self.updated.append(event.uri)

        async with (
            self.client.listen(resource_subscriptions=uris) as stream,
            anyio.create_task_group() as group,
        ):
            group.start_soon(note)
            yield
            group.cancel_scope.cancel()


def answer_in(result: CallToolResult) -> dict[str, Any]:
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert result.structured_content is None
    answer: dict[str, Any] = json.loads(content.text)
    assert content.text == json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
    assert bool(result.is_error) == ("error" in answer)
    return answer


@contextmanager
def model_at(transport: Any, era: str, name: str = "test model") -> Iterator[Model]:
    """A model whose client reaches a server by `transport`."""

    async def notice(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            model.updated.append(str(message.params.uri))

    client = Client(
        transport,
        mode=MODES[era],
        message_handler=notice,
        client_info=Implementation(name=name, version="1"),
    )
    with start_blocking_portal() as portal:
        model = Model(portal, client)
        with portal.wrap_async_context_manager(client):
            assert client.protocol_version == era
            yield model


def by_stdio(*args: str) -> StdioServerParameters:
    """A server of its own, started by the client."""
    return StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], *args], env=quiet_environment()
    )


class Served(NamedTuple):
    """A server on a port."""

    url: str
    token_file: Path
    process: Popen[str]
    said: list[str]

    @property
    def token(self) -> str:
        return self.token_file.read_text()

    def reached(self, **headers: str) -> AbstractAsyncContextManager[Any]:
        headers["Authorization"] = f"Bearer {self.token}"
        return reached_at(self.url, headers)


@contextmanager
def served_by_http(*args: str) -> Iterator[Served]:
    command = [*COMMAND, "--http", "0", *args]
    with Popen(command, stderr=PIPE, text=True, env=quiet_environment()) as process:
        try:
            assert process.stderr is not None
            said = [process.stderr.readline(), process.stderr.readline()]
            path = Path(said[0].rpartition("token is in ")[2].strip())
            url = said[1].rpartition(" at ")[2].strip()
            yield Served(url, path, process, said)
        finally:
            process.terminate()
            process.wait(WAIT_S)
            assert process.stderr is not None
            rest = process.stderr.read()
    assert process.returncode == 0
    assert rest == ""


@asynccontextmanager
async def reached_at(url: str, headers: dict[str, str]) -> Any:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        streamable_http_client(url, http_client=http) as streams,
    ):
        yield streams
