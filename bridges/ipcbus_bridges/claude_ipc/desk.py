"""Who may do what, and what they are answered.

Who asks is the owner of the session, whatever the request says. A name is handed out

    if nobody has it       it is registered in the network, with a key of its own
    if it came by here     to who knows the secret, if no session of it is valid or who
                           asks has one; without a secret to anybody, as the old server
                           did, and a warning is said
    if an agent has it     that did not come by here: never
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import ipcbus
from ipcbus_bridges.claude_ipc import mail, names, reading, requests, sending, wording
from ipcbus_bridges.claude_ipc.framing import BadRequest
from ipcbus_bridges.claude_ipc.limiter import Limiter
from ipcbus_bridges.claude_ipc.limits import Limits
from ipcbus_bridges.claude_ipc.people import People, Seat
from ipcbus_bridges.claude_ipc.requests import Asked, Register
from ipcbus_bridges.claude_ipc.state import Instance, State, hash_of
from ipcbus_bridges.wording import told

ANSWER_S: Final = 3.5
"""For an answer, whatever it takes: old clients wait for 5 s."""

GRACE_S: Final = 0.1
"""How long a `check` waits for what became of the answer before it. A reader that was
killed is known at once; one that keeps its connection open is waited for no longer."""

FATE_S: Final = 5.0
"""The same where the client is closed after it; no fate takes longer."""

Say = Callable[[str], None]


class Answer(NamedTuple):
    """What to write. `fate`, if there is one, wants to be told what became of it: True
    if it was taken, False if it was not."""

    data: bytes
    fate: asyncio.Future[bool] | None = None


class Desk:
    """`answer` is all that there is of it."""

    def __init__(
        self,
        network: str,
        people: People,
        state: State,
        *,
        secret: str,
        rate: int,
        limits: Limits,
        say: Say,
    ) -> None:
        self._network = network
        self._people = people
        self._state = state
        self._secret = secret
        self._limits = limits
        self._say = say
        self._asks = Limiter(rate)
        self._registers = Limiter(rate)
        self._newcomers = Limiter(rate)
        self._seen: dict[str, float] = {}

    async def answer(self, raw: bytes) -> Answer:
        """In time, and without raising but when it is cancelled."""
        try:
            async with asyncio.timeout(ANSWER_S):
                request = requests.read(raw)
                if isinstance(request, Register):
                    return _packed(await self._register(request))
                return await self._asked(request)
        except TimeoutError:
            return _packed(wording.error(wording.NO_ANSWER))
        except BadRequest as error:
            return _packed(wording.error(str(error)))
        except ipcbus.IpcbusError as error:
            return _packed(wording.error(wording.failed(error)))
        except Exception as error:  # noqa: BLE001 - one client must not end the door
            self._say(f"a request failed: {told(repr(error))}")
            return _packed(wording.error(wording.BROKEN))

    def save_seen(self) -> None:
        """Write down who asked when."""
        seen, self._seen = self._seen, {}
        if seen:
            self._state.seen(seen.items())

    # --- who asks --------------------------------------------------------------------

    async def _asked(self, asked: Asked) -> Answer:
        instance = self._holder(asked)
        if instance is None:
            return _packed(wording.error(wording.NO_SESSION))
        key = names.fold(instance.agent)
        if not self._asks.allows(key, time.monotonic()):
            return _packed(wording.error(wording.RATE))
        if isinstance(asked.action, requests.Unknown):
            return _packed(wording.error(wording.unknown(asked.action.action)))
        async with self._seat_of(asked, instance) as (seat, owner):
            self._seen[names.fold(owner.agent)] = time.time()
            return await self._carry_out(seat, owner, asked.action)

    def _holder(self, asked: Asked, *, look: bool = True) -> Instance | None:
        token = asked.session_token
        if not token:
            return None
        return self._state.of_session(token, time.time(), look=look)

    @asynccontextmanager
    async def _seat_of(
        self, asked: Asked, owner: Instance
    ) -> AsyncIterator[tuple[Seat, Instance]]:
        """The seat of a session's owner, who may be renamed while this waits."""
        while True:
            async with self._people.seat(owner.agent) as seat:
                now = self._holder(asked, look=False)
                if now is None:
                    raise BadRequest(wording.NO_SESSION)
                if now.agent == owner.agent and now.renaming is None:
                    yield seat, now
                    return
                if now.agent == owner.agent:
                    await self._find_out(now)
            owner = now

    async def _find_out(self, owner: Instance) -> None:
        """Whether an instance got its new name, which nobody lived to see."""
        assert owner.renaming is not None
        there = {names.fold(name) for name in await self._registered()}
        done = names.fold(owner.agent) not in there
        new = owner.renaming if done else None
        await asyncio.to_thread(self._state.end_rename, owner.agent, new)

    async def _registered(self) -> list[str]:
        """Names of all agents of the network."""
        async with self._people.seat("") as seat:
            operator = await self._people.client(seat)
            return [agent.name for agent in await operator.agents() if agent.registered]

    async def _carry_out(
        self, seat: Seat, owner: Instance, action: requests.Action
    ) -> Answer:
        match action:
            case requests.Send(given, to, said):
                return _packed(await self._send(seat, given, to, said))
            case requests.Broadcast(said):
                return _packed(await self._broadcast(seat, said))
            case requests.Check():
                return await self._check(seat, owner)
            case requests.List():
                return Answer(await self._list(seat))
            case requests.Rename(new):
                return _packed(await self._rename(seat, owner, new))
            case _:
                raise AssertionError(action)

    # --- register --------------------------------------------------------------------

    async def _register(self, asked: Register) -> wording.Answer:
        name, agent = asked.name, names.to_agent(asked.name)
        if not self._registers.allows(names.fold(agent), time.monotonic()):
            return wording.error(wording.REGISTER_RATE)
        if self._secret and not self._is_proof(asked):
            return wording.error(wording.BAD_AUTH)
        async with self._people.seat(agent) as seat:
            problem = await self._why_not(asked, agent)
            if problem is not None:
                return wording.error(problem)
            now = time.time()
            owner = await asyncio.to_thread(self._state.claim, name, now)
            seat.agent = owner.agent  # in the letters that it shall be shown with
            waiting = await self._waiting(seat)
            token = secrets.token_urlsafe(32)
            hashed, until = hash_of(token), now + self._limits.session_time
            await asyncio.to_thread(self._state.open_session, agent, hashed, until, now)
        return wording.ok(wording.registered(name, waiting), session_token=token)

    async def _waiting(self, seat: Seat) -> int:
        """Messages in the mailbox of an agent, which is registered if need be."""
        client = await self._people.client(seat)
        (name, _, _, waiting), _ = await client.call("whoami")
        if names.fold(name) == names.fold(seat.agent):
            return int(waiting)
        await self._people.leave(seat)  # of one that has another name by now
        client = await self._people.client(seat)
        (_, _, _, waiting), _ = await client.call("whoami")
        return int(waiting)

    def _is_proof(self, asked: Register) -> bool:
        wanted = hashlib.sha256(f"{asked.name}:{self._secret}".encode()).hexdigest()
        given = asked.auth_token
        return isinstance(given, str) and hmac.compare_digest(
            given.encode(errors="replace"), wanted.encode()
        )

    async def _why_not(self, asked: Register, agent: str) -> str | None:
        """Why a name is not handed out; None if it is."""
        known = self._state.instance(agent)
        if known is not None and known.renaming is not None:
            await self._find_out(known)
            known = self._state.instance(agent)
        if known is None:
            there = {names.fold(name) for name in await self._registered()}
            if names.fold(agent) in there:
                return wording.not_ours(asked.name, self._network)
            # Of all together: nobody shall fill the network with names.
            is_few = self._newcomers.allows("", time.monotonic())
            return None if is_few else wording.REGISTER_RATE
        until = self._state.held_until(agent, time.time())
        if until is None or self._is_holder(asked, known):
            return None
        if self._secret:
            ends = mail.timestamp(int(until * 1000))
            return wording.taken(asked.name, ends, self._network)
        self._say(
            f"warning: {known.name} was registered again while its session is valid. "
            "Any program of this machine can do that; IPC_SHARED_SECRET prevents it"
        )
        return None

    def _is_holder(self, asked: Register, known: Instance) -> bool:
        if asked.session_token is None:
            return False
        holder = self._state.of_session(asked.session_token, time.time())
        return holder is not None and holder.agent == known.agent

    # --- the others ------------------------------------------------------------------

    async def _send(
        self, seat: Seat, given: str, to: str, said: requests.Said
    ) -> wording.Answer:
        client = await self._people.client(seat)
        try:
            receipt = await sending.send(client, to, said, future=True)
        except ipcbus.IpcbusError as error:
            return wording.error(wording.not_sent(given, error))
        return wording.ok(wording.sent(given, receipt, names.to_old(receipt.to)))

    async def _broadcast(self, seat: Seat, said: requests.Said) -> wording.Answer:
        client = await self._people.client(seat)
        try:
            receipt = await sending.send(client, "*", said, future=False)
        except ipcbus.errors.UnknownRecipient:  # there is nobody else
            return wording.ok(wording.broadcast(0))
        return wording.ok(wording.broadcast(receipt.recipients))

    async def _check(self, seat: Seat, owner: Instance) -> Answer:
        await seat.wait_for_fates(GRACE_S)
        client = await self._people.client(seat)
        read = await reading.page(client, owner.name, self._state.folder, self._limits)
        if not read.messages:
            return Answer(read.answer)
        fate = seat.new_fate()
        fate.add_done_callback(lambda f: read.settle(not f.cancelled() and f.result()))
        return Answer(read.answer, fate)

    async def _list(self, seat: Seat) -> bytes:
        client = await self._people.client(seat)
        ours = self._state.last_seen() | self._seen
        rows = []
        for agent in await client.agents():
            if agent.registered:
                at = ours.get(names.fold(agent.name), (agent.last_seen or 0) / 1000)
                rows.append((at, names.to_old(agent.name)))
        rows.sort(reverse=True)
        told = [(name, mail.timestamp(int(at * 1000))) for at, name in rows]
        return mail.listing(told, self._limits.answer_size)

    async def _rename(self, seat: Seat, owner: Instance, new: str) -> wording.Answer:
        client = await self._people.client(seat)
        state, agent = self._state, owner.agent
        await asyncio.to_thread(state.begin_rename, agent, new)
        try:
            await client.rename(names.to_agent(new))
        except ipcbus.errors.Refused as error:
            await asyncio.to_thread(state.end_rename, agent, None)
            return wording.error(wording.not_renamed(new, error))
        await asyncio.to_thread(state.end_rename, agent, new)
        await seat.wait_for_fates(FATE_S)
        await self._people.leave(seat)
        return wording.ok(wording.renamed(owner.name, new))


def _packed(answer: wording.Answer) -> Answer:
    return Answer(wording.packed(answer))
