"""What a user says of a program that is to be an agent, read and checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple

from ipcbus.adapters import given
from ipcbus.adapters.base import Options
from ipcbus.adapters.presets import NONE, PRESETS, Outcome, Preset, preset_of
from ipcbus.errors import UsageError
from ipcbus.units import duration_ms

PROMPT: Final = "{prompt}"

CONVERSATION: Final = "conversation"
LAST: Final = "last"
JSON: Final = "json"

_OBEYING: Final = frozenset(
    {
        *("sh", "bash", "dash", "zsh", "ksh", "fish", "pwsh", "osascript"),
        *("python", "pypy", "perl", "ruby", "node", "deno", "bun", "php", "lua"),
        *("env", "nohup", "timeout", "xargs", "su", "sudo"),
    }
)
"""Programs that carry out what stands behind their name or an option of theirs."""

_OPTIONS: Final = (
    *("preset", "cwd", "input", "answer", "tools", "timeout", "inherit"),
    "env.*",
)

Reader = Callable[[str, str], Outcome]
"""Makes an answer of what a program wrote on stdout and stderr."""


class Plan(NamedTuple):
    """How a program is run.

    Attributes:
        command: program and arguments, one of which may hold `PROMPT`.
        preset: its name, or `NONE`.
        shown: `CONVERSATION`, `LAST` or `JSON`: what it is given.
        tools: whether it is told of tools, and may call them in its answer.
        patterns: of the variables that it inherits beside the usual ones.
        own: variables that are set for it.
        folder: where it works.
        timeout_s: seconds that it may take; the turn may allow less.
        is_plain: whether all that it writes on stdout is its answer.
    """

    command: tuple[str, ...]
    preset: str
    shown: str
    tools: bool
    read: Reader
    patterns: tuple[str, ...]
    own: Mapping[str, str]
    folder: Path
    timeout_s: float
    is_plain: bool

    @property
    def by_argument(self) -> bool:
        return any(PROMPT in word for word in self.command)


def planned(options: Options) -> Plan:
    """The plan that `options` make. Raises `UsageError`."""
    given.only("command", options, _OPTIONS, uses=("model", "command"))
    words = ("", NONE, *PRESETS)
    name = given.choice(options, "preset", words) or preset_of(options.command)
    preset = PRESETS.get(name)
    if not options.command and preset is None:
        reason = "say which program: ipcbus agent --adapter command ... -- claude -p"
        raise UsageError(reason=reason)
    tools = given.choice(options, "tools", ("", "text", NONE))
    return Plan(
        _command(options, preset),
        name,
        given.choice(options, "input", (CONVERSATION, LAST, JSON)),
        tools == "text" or (not tools and preset is not None),
        _reader(options, preset),
        (*(preset.variables if preset else ()), *_inherit(options)),
        _own(options),
        _folder(options),
        _timeout_s(options),
        preset is None and given.text(options, "answer") in ("", "text"),
    )


# --- the command line --------------------------------------------------------


def _command(options: Options, preset: Preset | None) -> tuple[str, ...]:
    command = list(options.command or (preset.command if preset else ()))
    _check_prompt(command)
    if preset is not None:
        command = preset.finished(command)
    if options.model:
        if preset is None:
            reason = "--model means nothing to this program; say it in its command"
            raise UsageError(reason=reason)
        command += [preset.model, options.model]
    return tuple(command)


def _check_prompt(command: list[str]) -> None:
    """What peers write must stay an argument: nothing of it may become an option or a
    shell's command."""
    for at, word in enumerate(command):
        before = command[at - 1] if at else ""
        if PROMPT not in word:
            continue
        if word != PROMPT and not (
            word.startswith("-") and word.endswith(f"={PROMPT}")
        ):
            reason = "must be an argument of its own, or end one, as in --text={prompt}"
            raise UsageError(reason=f"{PROMPT} {reason}")
        if not before or _is_obeyed(command, before):
            reason = "what others write would be carried out"
            raise UsageError(reason=f"{PROMPT} cannot stand there: {reason}")
    words = [word for word in command if not word.startswith("-")]
    if words and _program(words[-1]) in _OBEYING:  # and has no script
        reason = f"{words[-1]} would carry out what others write"
        raise UsageError(reason=f"{reason}; say which script it runs")


def _is_obeyed(command: list[str], before: str) -> bool:
    """Whether a program would carry out what stands behind the word `before`."""
    names = {_program(word) for word in command}
    if "ssh" in names:  # the shell at the other end reads all words
        return True
    behind = before.startswith("-") or _program(before) in _OBEYING
    return behind and not names.isdisjoint(_OBEYING)


def _program(word: str) -> str:
    """The name of a program without its version: `python` for /usr/bin/python3.12."""
    return PurePath(word).name.rstrip("0123456789.")


def with_prompt(command: tuple[str, ...], prompt: str) -> tuple[str, ...]:
    """The command with `prompt` in its place. One that begins as an option does is
    moved in by a letter: it would be taken for one."""
    argument = f" {prompt}" if prompt.startswith("-") else prompt
    return tuple(
        argument if word == PROMPT else word.replace(PROMPT, prompt) for word in command
    )


# --- its answer --------------------------------------------------------------


def _reader(options: Options, preset: Preset | None) -> Reader:
    how = given.text(options, "answer")
    if preset is not None:
        if how:
            reason = f"the preset says where the answer stands; or say preset={NONE}"
            raise UsageError(reason=reason)
        return preset.read
    kind, _, path = how.partition(":")
    if how in ("", "text"):
        return lambda out, err: Outcome(out.strip(), is_known=False)
    if kind != JSON or not path:
        reason = f"the option answer must be text or json:PATH, not {how!r}"
        raise UsageError(reason=reason)
    return lambda out, err: _in_json(out, path)


def _in_json(out: str, path: str) -> Outcome:
    """What stands at `path`, as in `result.text` or `choices.0.text`."""
    try:
        found: Any = json.loads(out)
    except (ValueError, RecursionError):
        return _no_answer("what it wrote is not JSON")
    for name in path.split("."):
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return _no_answer(f"there is no {path} in the JSON it wrote")
    if not isinstance(found, str):
        return _no_answer(f"{path} in the JSON it wrote is no text")
    return Outcome(found, is_known=False)


def _no_answer(problem: str) -> Outcome:
    return Outcome(None, problem=problem, is_known=False)


# --- its surroundings --------------------------------------------------------


def _inherit(options: Options) -> tuple[str, ...]:
    """Names of variables, or patterns of them, with commas between."""
    return tuple(
        filter(None, map(str.strip, given.text(options, "inherit").split(",")))
    )


def _own(options: Options) -> dict[str, str]:
    found = {}
    for option in options.extra:
        if not option.startswith("env."):
            continue
        name, value = option.removeprefix("env."), given.text(options, option)
        if not name or "=" in name or "\0" in name + value:
            raise UsageError(reason=f"{option!r} names no variable: env.NAME=value")
        found[name] = value
    return found


def _folder(options: Options) -> Path:
    folder = Path(given.text(options, "cwd", ".")).expanduser()
    if not folder.is_dir():
        raise UsageError(reason=f"the option cwd: there is no folder {folder}")
    return folder.resolve()


def _timeout_s(options: Options) -> float:
    value = given.text(options, "timeout")
    if not value:
        return float("inf")
    try:
        return duration_ms(value) / 1000
    except ValueError as error:
        raise UsageError(reason=f"the option timeout: {error}") from error
