"""Programs that we know: how they are asked, and where their answer stands. Pure.

Each was tried with the version named beside it. What a program says of a failure is
read as well, so that a wrong key or a busy platform is not taken for a broken program.
Sources: https://code.claude.com/docs/en/headless,
https://github.com/google-gemini/gemini-cli/blob/main/docs/cli/headless.md,
https://github.com/openai/codex/blob/main/docs/exec.md,
https://llm.datasette.io/en/stable/usage.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from ipcbus.adapters.base import Usage
from ipcbus.errors import UsageError

NONE: Final = "none"
"""The name that stands for no preset, also for a program that is known."""


class Outcome(NamedTuple):
    """What a program said.

    Attributes:
        text: its answer; None: there is none.
        problem: why there is none, in its own words.
        status: the HTTP status behind that, if it told one.
        is_known: whether its words can be relied on, as those of a program can that
            has a preset; any other may write whatever it likes.
    """

    text: str | None
    usage: Usage | None = None
    problem: str = ""
    status: int | None = None
    is_known: bool = True


class Preset(NamedTuple):
    """How a program is used.

    Attributes:
        command: what is run if the user names none.
        finished: the user's command with the flags that `read` needs.
        model: the flag in front of a model's name.
        variables: patterns of the variables that it reads.
        read: its answer, from stdout and stderr.
    """

    command: tuple[str, ...]
    finished: Callable[[list[str]], list[str]]
    model: str
    variables: tuple[str, ...]
    read: Callable[[str, str], Outcome]


def preset_of(command: Sequence[str]) -> str:
    """The name of the preset for a program; `NONE` for one that is not known."""
    name = PurePath(command[0]).name if command else ""
    return name if name in PRESETS else NONE


def status_in(text: str) -> int | None:
    """The HTTP status that an error message tells."""
    found = re.search(r"(?i)\b(?:status|code|error)\W{1,3}([45]\d\d)\b", text)
    return int(found[1]) if found else None


# --- claude -p (Claude Code 2.1.330) -----------------------------------------


def _claude(command: list[str]) -> list[str]:
    printing = [] if {"-p", "--print"} & {*command} else ["-p"]
    return [*command, *printing, *_output(command, "--output-format", "json")]


def _read_claude(out: str, err: str) -> Outcome:
    said = _object(out)
    if said is None:
        return _silent(out, err)
    text = said.get("result")
    if said.get("is_error") or not isinstance(text, str):
        problem = _words(text) or f"it ended with {said.get('subtype')}"
        return Outcome(None, None, problem, _whole(said.get("api_error_status")))
    return Outcome(text, _claude_usage(said))


def _claude_usage(said: Mapping[str, Any]) -> Usage | None:
    """Of all models that it used; `usage` has the main one only."""
    cached = "cacheReadInputTokens", "cacheCreationInputTokens"
    used = _sum(said.get("modelUsage"), ("inputTokens", *cached), ("outputTokens",))
    if used is not None:
        return used
    cached = "cache_creation_input_tokens", "cache_read_input_tokens"
    return _usage(said.get("usage"), ("input_tokens", *cached), ("output_tokens",))


# --- gemini (Gemini CLI 0.61.0) ----------------------------------------------


def _gemini(command: list[str]) -> list[str]:
    """`-p` wants the prompt behind it, and the prompt comes on stdin: without it the
    program is as quiet."""
    kept = command[:-1] if command[-1] in ("-p", "--prompt") else command
    return [*kept, *_output(kept, "--output-format", "json", "-o")]


def _read_gemini(out: str, err: str) -> Outcome:
    said = _object(out) or _object(err[_last_object(err) :])
    if said is None:
        return _silent(out, err)
    error = said.get("error")
    if isinstance(error, Mapping):
        problem = _words(error.get("message")) or "it failed"
        return Outcome(None, None, problem, _whole(error.get("code")))
    if not isinstance(said.get("response"), str):
        return _silent("", err)
    return Outcome(said["response"], _gemini_usage(said))


def _gemini_usage(said: Mapping[str, Any]) -> Usage | None:
    """Of all models that it used for this one answer."""
    models = _at(_at(said, "stats"), "models")
    if not isinstance(models, Mapping):
        return None
    counts = {name: _at(model, "tokens") for name, model in models.items()}
    return _sum(counts, ("prompt", "tool"), ("candidates", "thoughts"))


def _last_object(text: str) -> int:
    """Where the last JSON object begins that has a line for its beginning."""
    return max(text.rfind("\n{"), 0)


# --- codex exec (Codex 0.169.0) ----------------------------------------------


def _codex(command: list[str]) -> list[str]:
    working = command if "exec" in command else [command[0], "exec", *command[1:]]
    return [*working, *([] if "--json" in working else ["--json"])]


def _read_codex(out: str, err: str) -> Outcome:
    text, usage, problem = None, None, ""
    for event in _lines(out):
        item = event.get("item")
        if isinstance(item, Mapping) and item.get("type") == "agent_message":
            text = _words(item.get("text"))  # the last one is the answer
        elif event.get("type") == "turn.completed":
            counts = event.get("usage")
            usage = _usage(counts, ("input_tokens",), ("output_tokens",))
            problem = ""
        elif event.get("type") == "turn.failed":
            problem = _words(_at(event.get("error"), "message")) or "it failed"
    if problem:
        return Outcome(None, usage, problem, status_in(problem))
    return _silent("", err) if text is None else Outcome(text, usage)


# --- llm (0.36) --------------------------------------------------------------


def _llm(command: list[str]) -> list[str]:
    told = {"-u", "--usage"} & {*command}
    return [*command, *([] if told else ["--usage"])]


def _read_llm(out: str, err: str) -> Outcome:
    found = re.search(
        r"^Token usage: ([\d,]+) input, ([\d,]+) output", err, re.MULTILINE
    )
    usage = None
    if found is not None:
        usage = Usage(*(int(count.replace(",", "")) for count in found.groups()))
    return Outcome(out.strip(), usage)


# --- what they share ---------------------------------------------------------


def _output(command: list[str], flag: str, wanted: str, short: str = "") -> list[str]:
    """`flag wanted`, unless it stands there. Raises `UsageError` if another does."""
    for at, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name not in (flag, short) or not name:
            continue
        if (value if equals else "".join(command[at + 1 : at + 2])) == wanted:
            return []
        reason = f"leave {name} out of the command: its answer is read as {wanted}"
        raise UsageError(reason=f"{reason}; or say preset={NONE}")
    return [flag, wanted]


def _silent(out: str, err: str) -> Outcome:
    """It did not say what was expected: whatever it said is the reason."""
    said = err.strip() or out.strip()
    return Outcome(None, None, said or "it said nothing", status_in(said))


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _at(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _lines(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        found = _object(line)
        if found is not None:
            yield found


def _usage(counts: Any, into: tuple[str, ...], out_of: tuple[str, ...]) -> Usage | None:
    if not isinstance(counts, Mapping):
        return None
    return Usage(
        sum(_whole(counts.get(name)) or 0 for name in into),
        sum(_whole(counts.get(name)) or 0 for name in out_of),
    )


def _sum(models: Any, into: tuple[str, ...], out_of: tuple[str, ...]) -> Usage | None:
    """The same of all models together."""
    if not isinstance(models, Mapping):
        return None
    found = [_usage(counts, into, out_of) for counts in models.values()]
    known = [one for one in found if one is not None]
    return Usage(*map(sum, zip(*known, strict=True))) if known else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


PRESETS: Final[Mapping[str, Preset]] = {
    "claude": Preset(
        ("claude", "-p"),
        _claude,
        "--model",
        (
            "ANTHROPIC_*",
            "CLAUDE_CONFIG_DIR",
            "CLAUDE_CODE_OAUTH_TOKEN",
            # Not all that begins so: of a session that this was started in, no word.
            *(f"CLAUDE_CODE_{name}_*" for name in ("USE", "MAX", "DISABLE", "SKIP")),
        ),
        _read_claude,
    ),
    "gemini": Preset(
        ("gemini",), _gemini, "--model", ("GEMINI_*", "GOOGLE_*"), _read_gemini
    ),
    "codex": Preset(
        ("codex", "exec"), _codex, "--model", ("OPENAI_*", "CODEX_*"), _read_codex
    ),
    "llm": Preset(
        ("llm",),
        _llm,
        "--model",
        ("LLM_*", "OPENAI_*", "ANTHROPIC_*", "GEMINI_*", "OLLAMA_*"),
        _read_llm,
    ),
}
