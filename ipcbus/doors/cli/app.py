"""`ipcbus`: the table of commands, and the border where errors become exit codes.

A one-shot command is what an AI calls most, so start-up time is a feature. The
table knows each command by its module and its line of help; only the module of the
command in use is imported, and `ipcbus --help` imports none.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import click

from ipcbus.doors.cli.failures import EXIT_INTERRUPTED, EXIT_PIPE, report
from ipcbus.doors.cli.output import (
    abandon_stdout,
    end_line,
    flush,
    prepare_stdout,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


PROGRAM: Final = "ipcbus"

LAST_WORDS_S: Final = 0.5
"""Seconds that the last words may take to leave; on a machine at rest it is one
millisecond."""


class Entry(NamedTuple):
    """Where a command lives (the attribute is its name, with `_`), and its help."""

    module: str
    help: str


def _here(module: str, text: str) -> Entry:
    return Entry(f"ipcbus.doors.cli.{module}", text)


SECTIONS: Final[dict[str, dict[str, Entry]]] = {
    "Networks": {
        "up": _here("up", "Run the broker of a network, or all of a configuration."),
        "down": _here("down", "Stop the broker of a network."),
        "status": _here("status", "Show what a broker is doing."),
        "networks": _here("networks", "List the networks of this machine."),
        "doctor": _here("doctor", "Look for what is wrong, and say how to mend it."),
    },
    "Mail": {
        "send": _here("send", "Send a message."),
        "broadcast": _here("send", "Send a message to everyone but yourself."),
        "reply": _here("reply", "Answer a message."),
        "ask": _here("ask", "Send a request and wait for its answer."),
        "check": _here("check", "Read the mail that is there."),
        "wait": _here("check", "Read mail; wait until there is some."),
        "watch": _here("watch", "Show messages as they come."),
        "ack": _here("settle", "Settle messages: they are done."),
        "nack": _here("settle", "Refuse messages: they come again."),
        "extend": _here("settle", "Keep messages for longer."),
        "show": _here("show", "Show one message, whole."),
        "history": _here("history", "List messages of the past."),
        "search": _here("history", "Find messages by the words in them."),
        "dead": _here("dead", "Look after messages that were given up."),
    },
    "Members": {
        "agents": _here("agents", "List the agents of a network."),
        "register": _here("register", "Give an agent its name and its key."),
        "rename": _here("register", "Change the name of an agent."),
        "join": _here("topics", "Join a topic, or all that match a pattern."),
        "leave": _here("topics", "Leave a topic or pattern."),
        "topics": _here("topics", "List the topics and who joined them."),
        "invite": _here("invite", "Make a one-line invitation for another machine."),
        "join-network": _here("join_network", "Use an invitation on this machine."),
        "keys": _here("keys", "List who may connect."),
        "revoke": _here("keys", "Take the keys of an agent away; ends its sessions."),
    },
    "Bridges": {
        "bridge": _here("bridge", "Carry mail between two networks."),
        "bridges": _here("bridges", "Look after the links between networks."),
        "grant": _here("grant", "Narrow what a link may take out or bring in."),
        "route": _here("trace", "Tell by which link mail to an address leaves."),
        "trace": _here("trace", "Tell which way a message went."),
        "audit": _here("trace", "List what crossed to and from a network."),
    },
    "Keeping": {
        "backup": _here("backup", "Copy the store of a running network to a new file."),
        "restore": _here("restore", "Put a backup in the place of a network's store."),
        "config": _here("config", "Show, describe and check configuration files."),
        "completion": _here("completion", "Print a shell's completion script."),
        "version": _here("version", "Print the version."),
    },
}

COMMANDS: Final = {
    name: entry for section in SECTIONS.values() for name, entry in section.items()
}


class LazyGroup(click.Group):
    """A group that knows its commands by the table until one of them is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(entry.module), cmd_name.replace("-", "_"))
        gc.freeze()
        gc.enable()
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # only those who mistype pay

            near = get_close_matches(args[0], COMMANDS, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name, entry.help) for name, entry in section.items()]
                )

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=entry.help)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Messages between agents, scripts and people, that do not get lost.

    A network is a broker with its own members, keys and store. The broker is
    started by the first who needs it:

    \b
        ipcbus send bob "build is green" --network dev --as alice
        ipcbus check --network dev --as bob

    Every command has --json: one JSON document on stdout, also for errors.
    IPCBUS_NETWORK and IPCBUS_AGENT stand in for --network and --as.
    """


def run(args: Sequence[str]) -> int:
    """Carry out a command line; the exit code. No exception leaves it."""
    as_json = _wants_json(args)
    try:
        code = _carry_out(list(args))
        flush()
    except (KeyboardInterrupt, click.Abort):
        end_line()
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        abandon_stdout()
        return EXIT_PIPE
    except Exception as error:  # noqa: BLE001  the border: all of them end here
        return report(error, as_json=as_json)
    return code if isinstance(code, int) else 0


def _carry_out(args: list[str]) -> object:
    """As `cli.main`, which would make 1 of a reader that left, and more."""
    if "_IPCBUS_COMPLETE" in os.environ:
        return cli.main(args, prog_name=PROGRAM, standalone_mode=False)
    try:
        with cli.make_context(PROGRAM, args) as ctx:
            return cli.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code


def _wants_json(args: Sequence[str]) -> bool:
    """Errors of the parser itself come before any option was understood."""
    options = args[: args.index("--")] if "--" in args else args
    return "--json" in options


def main() -> NoReturn:
    """The program."""
    # Nothing that is loaded becomes garbage: not looking for any until the command is
    # there saves 4 ms.
    gc.disable()
    prepare_stdout()
    _leave(run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End without taking the interpreter apart, which the system does as well when it
    takes everything back at once: 10 ms, a tenth of a one-shot command."""
    atexit._run_exitfuncs()
    _let_last_words_leave()
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(code)


def _let_last_words_leave() -> None:
    """A client has said goodbye, but the thread of ZeroMQ that sends it may not be
    done. With it goes that leases shall be kept."""
    dealer = sys.modules.get("ipcbus.transport.dealer")
    if dealer is not None:
        ending = Thread(target=dealer.context().term, daemon=True)
        ending.start()
        ending.join(LAST_WORDS_S)
