"""Any program as an agent: text in, text out.

    ipcbus agent --adapter command --as reviewer --network dev -- claude -p

The conversation goes to the program's standard input, or stands where its command line
has `{prompt}`; what it prints is the answer. Each turn is a process of its own.
`commandline` reads what the user said of it, `presets` has the programs that we know.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Final

from ipcbus.adapters.base import (
    TOOLS,
    USER,
    Answer,
    Finding,
    Limits,
    Options,
    Said,
    Turn,
)
from ipcbus.adapters.commandline import JSON, LAST, planned, with_prompt
from ipcbus.adapters.heard import heard
from ipcbus.adapters.plaintext import as_json, calls_in, rendered
from ipcbus.adapters.presets import NONE
from ipcbus.adapters.programs import (
    MOST_OUTPUT,
    Done,
    TookTooLong,
    Work,
    WroteTooMuch,
    run,
)
from ipcbus.adapters.surroundings import environment, without_secrets
from ipcbus.adapters.troubles import after_its_end, not_started
from ipcbus.doors.text import beginning, safe, safe_line, size
from ipcbus.errors import AdapterFailed, IpcbusError, TooLong

MOST_ARGUMENT: Final = 128 * 1024 - 1
"""Bytes of one argument, as Linux has it (MAX_ARG_STRLEN, execve(2))."""

_CHECK: Final = Turn(
    "This is a test of the connection.",
    (Said(USER, "Answer with the one word: ready"),),
    limits=Limits(64, 60.0),
)


def _new_mark() -> str:
    return f"call-{secrets.token_hex(4)}"


class Command:
    """A program, run for each turn. Its options are told in docs/adapters.md."""

    needs = ""

    def __init__(
        self, options: Options, new_mark: Callable[[], str] = _new_mark
    ) -> None:
        self._plan = planned(options)
        self._new_mark = new_mark
        self._env = environment(os.environ, self._plan.patterns, self._plan.own)
        self._name = safe_line(os.path.basename(self._plan.command[0]))  # noqa: PTH119

    async def turn(self, turn: Turn) -> Answer:
        mark = self._new_mark() if self._plan.tools and turn.tools else ""
        streams = self._plan.is_plain and not mark
        work = self._work(turn, self._prompt(turn, mark), streams)
        done = await self._run(work)
        outcome = self._plan.read(done.out, done.err)
        if done.code or outcome.text is None:
            raise after_its_end(self._name, done, outcome, self._without_secrets)
        said = outcome.text.encode(errors="replace").decode()  # JSON has surrogates
        text, calls = calls_in(said, mark) if mark else (said, ())
        if turn.on_text is not None and text and not streams:
            turn.on_text(text)
        if calls:
            return Answer(text, calls, outcome.usage, TOOLS)
        return Answer(text, usage=outcome.usage)

    def _without_secrets(self, text: str) -> str:
        return without_secrets(text, self._env)

    def _prompt(self, turn: Turn, mark: str) -> str:
        if self._plan.shown == JSON:
            return as_json(turn)
        if self._plan.shown == LAST:
            return safe("\n".join(one.text for one in heard(turn.said[-1].text)))
        return rendered(turn, mark)

    def _work(self, turn: Turn, prompt: str, streams: bool) -> Work:
        plan = self._plan
        command = with_prompt(plan.command, prompt)
        if plan.by_argument and max(len(w.encode()) for w in command) > MOST_ARGUMENT:
            reason = f"the prompt is over {size(MOST_ARGUMENT)}, too long an argument"
            raise TooLong(adapter="command", reason=reason)
        return Work(
            command,
            None if plan.by_argument else prompt,
            self._env,
            plan.folder,
            min(turn.limits.timeout_s, plan.timeout_s),
            turn.on_text if streams else None,
        )

    async def _run(self, work: Work) -> Done:
        try:
            return await run(work)
        except OSError as error:
            raise not_started(self._name, error) from error
        except TookTooLong as error:
            reason = f"{self._name} gave no answer within {work.timeout_s:g} s"
            raise AdapterFailed(adapter="command", reason=reason) from error
        except WroteTooMuch as error:
            reason = f"{self._name} wrote more than {size(MOST_OUTPUT)}"
            raise AdapterFailed(adapter="command", reason=reason) from error

    # --- check ---------------------------------------------------------------

    async def check(self) -> list[Finding]:
        """It is run once, as for a message of five words."""
        found = list(self._found())
        if any(one.status == "failed" for one in found):
            return found
        began = time.monotonic()
        try:
            answer = await self.turn(_CHECK)
        except IpcbusError as error:
            return [*found, Finding("failed", str(error))]
        took = f"it answered in {time.monotonic() - began:.1f} s"
        said = safe_line(beginning(answer.text))
        if not said:
            return [*found, Finding("warning", f"{took}, but with nothing")]
        return [*found, Finding("ok", f"{took}: {said}")]

    def _found(self) -> Iterator[Finding]:
        program = self._plan.command[0]
        local = str(self._plan.folder / program) if os.sep in program else program
        path = shutil.which(local, path=self._env.get("PATH"))
        if path is None:
            yield Finding("failed", f"there is no program {safe_line(program)}")
            return
        yield Finding("ok", f"the program is {safe_line(path)}")
        if self._plan.preset == NONE:
            yield Finding("ok", f"in {self._plan.folder}")
        else:
            yield Finding("ok", f"in {self._plan.folder}, as {self._plan.preset}")

    async def close(self) -> None:
        """A turn that is under way is ended by whoever cancels it."""
