"""The table of commands, and click's reading of a command line.

The table knows each command by its module and its line of help; only the module of the
command in use is imported, and `ipcbus --help` imports none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from ipcbus.doors.cli.quick import load

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


PROGRAM: Final = "ipcbus"


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
        "pause": _here("pause", "Stop all deliveries, or those to single agents."),
        "resume": _here("pause", "Let deliveries go on."),
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
    "AI agents": {
        "install": _here(
            "install",
            "Put ipcbus into the settings of Claude Code, Gemini CLI or Codex.",
        ),
        "uninstall": _here(
            "install",
            "Take ipcbus out of the settings of Claude Code, Gemini CLI or Codex.",
        ),
        "tools": _here("tools", "Print the tools that models are given."),
        "call": _here("call", "Carry out a tool call of a model."),
        "say": _here("say", "Say in plain words what to do."),
        "hook": _here("hook", "Answer a hook of Claude Code, Gemini CLI or Codex."),
        "mcp": _here("mcp", "Serve the tools to an MCP client."),
        "run": _here("run", "Run a command and send what became of it."),
        "agent": _here("agent", "Run an agent whose mail is answered by a model."),
        "spent": _here("spent", "Show what agents with models have used today."),
        "adapters": _here(
            "adapters", "List and check adapters, by which models are agents."
        ),
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
        "import": _here("import_", "Move in what another program left."),
        "config": _here("config", "Show, describe and check configuration files."),
        "completion": _here("completion", "Print a shell's completion script."),
        "version": _here("version", "Print the version."),
    },
}

COMMANDS: Final = {
    name: entry for section in SECTIONS.values() for name, entry in section.items()
}


class Text(click.types.StringParamType):
    """What is said on the wire or looked up there, so no bytes that are not UTF-8.
    Paths and the command lines of other programs may be any bytes."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        text = super().convert(value, param, ctx)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text!r} is no text: not all of it is UTF-8", param, ctx)
        return text


def _take_text_only(command: click.Command) -> None:
    for param in command.params:
        if param.type is click.STRING:
            param.type = TEXT
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _take_text_only(each)


TEXT: Final = Text()


class LazyGroup(click.Group):
    """A group that knows its commands by the table until one of them is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = load(entry.module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        _take_text_only(command)
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


def carry_out(args: Sequence[str]) -> object:
    """As `cli.main`, which would make 1 of a reader that left, and more."""
    if "_IPCBUS_COMPLETE" in os.environ:
        return cli.main(args, prog_name=PROGRAM, standalone_mode=False)
    try:
        with cli.make_context(PROGRAM, [*args]) as ctx:
            return cli.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
