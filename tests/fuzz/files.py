"""Targets: files that people write, and rules that stand on a command line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from ipcbus import config, units
from ipcbus.adapters import scriptfile
from ipcbus.config import prices
from ipcbus.doors.install import settings as hooks
from ipcbus.doors.install import surgery, tables
from ipcbus.doors.install.commands import Who
from ipcbus.doors.install.jsonc import Unreadable
from ipcbus.doors.install.settings import Foreign
from ipcbus.doors.install.surgery import Misfit
from ipcbus.doors.install.tools import TOOLS
from ipcbus.errors import ConfigError
from ipcbus_bridges import rulefile
from ipcbus_bridges.shortform import parse_short
from tests.fuzz.target import Target, again, same, text, texts

CONFIGS: Final = Path(__file__).parents[2] / "configs"
WHO: Final = Who(("/opt/ipcbus",), ("--network", "dev", "--as", "ann"))


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="ipcbus-fuzz-"))


def _through_a_file(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """`read` given a file, as it is when a person wrote one."""

    def feed(data: bytes) -> None:
        path = _folder() / f"{os.getpid()}.yaml"
        path.write_bytes(data)
        read(path)

    return feed


def _configuration(path: Path) -> None:
    config.dump(config.load(path)).encode()


def _short_rule(data: bytes) -> None:
    found = parse_short(text(data), allow=True, id="r", a="dev", b="prod")
    repr(found)


def _short_denial(data: bytes) -> None:
    parse_short(text(data), allow=False, id="r", a="dev", b="prod")


def _rules(data: bytes) -> None:
    rulefile.parse(data, "rules.yaml", "dev", "prod")


def _duration(data: bytes) -> None:
    found = units.duration_ms(text(data))
    shown = units.show_duration(found)
    same("a duration", found, again(shown, lambda: units.duration_ms(shown)))


def _size(data: bytes) -> None:
    found = units.size_bytes(text(data))
    shown = units.show_size(found)
    same("a size", found, again(shown, lambda: units.size_bytes(shown)))


def _json_settings(data: bytes) -> None:
    """Put in and taken out again: the same text."""
    given = data.decode()
    if surgery.is_blank(given):
        return  # a file that is made, and removed again as a whole
    for tool in TOOLS.values():
        if _json_taken_out(given, tool.name, "") != given:
            continue  # it has ours already; what it was before is in a backup
        new = hooks.add_server(given, {**WHO.server(), **tool.server})
        new = hooks.add_hooks(new, tool.name, tool.hooks(WHO), given)
        left = again(tool.name, lambda: _json_taken_out(new, tool.name, given))  # noqa: B023
        same(f"the settings of {tool.name}", given, left)


def _json_taken_out(given: str, tool: str, before: str) -> str:
    given = hooks.remove_hooks(given, tool, before)
    return hooks.remove_server(given, before)


def _toml_settings(data: bytes) -> None:
    given = data.decode()
    if surgery.is_blank(given) or tables.remove_server(given) != given:
        return
    entry = {**WHO.server(), **TOOLS["codex"].server}
    new = tables.add_server(given, entry)
    same("the settings", given, again("ours", lambda: tables.remove_server(new)))


def _configs(*names: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [(CONFIGS / name).read_bytes() for name in names]


_RULES: Final = b"""rules:
  - id: one
    allow: "planner@dev <-> reviewer@prod"
    kinds: [request, inform]
    rate: {messages: 10/min, per: sender, exceed: defer}
    redact: {mask: ["key-*"], headers: [x], data: [a.b]}
    replies: {max: 3, within: 1h}
  - id: two
    deny: {from: "*", to: "ops@prod"}
max_hops: 2
hold_for: 7d
"""
_JSON: Final = (
    '{\n  // note\n  "model": "x", /* y */\n  "hooks": {"Stop": [{"hooks": '
    '[{"type": "command", "command": "a.sh"}]},]},\n}\n',
    '{"mcpServers": {"github": {"command": "g", "args": []}}}',
    "{}\n",
    '\ufeff{\r\n\t"hooks": {}, // z\r\n\t"mcpServers": {}\r\n}',
)
_TOML: Final = (
    'model = "gpt" # x\n\n[mcp_servers.other]\ncommand = \'a\'\nargs = ["b",\n 1]\n',
    'a = """\n[mcp_servers.ipcbus]\n"""\nb = {c = "}"}\n[[list]]\nd = 1979-05-27\n',
    "[mcp_servers]\r\n",
)
_SCRIPT: Final = (
    'default: hm\nreplies:\n  - when: "a*"\n    say: hello\n'
    '  - calls: [{name: send, arguments: {to: bob, text: "x"}}]\n'
)


_REFUSED: Final = (Unreadable, Misfit, Foreign, UnicodeDecodeError)
"""What `changes` tells as an error of the file, which is then not touched."""


TARGETS: Final = (
    Target(
        "network-config",
        _through_a_file(_configuration),
        (ConfigError,),
        _configs("dev-prod.yaml", "agents.yaml", "small-disk.yaml", "volatile.yaml"),
    ),
    Target(
        "prices", _through_a_file(prices.load), (ConfigError,), _configs("prices.yaml")
    ),
    Target("scripts", _through_a_file(scriptfile.read), (ConfigError,), texts(_SCRIPT)),
    Target(
        "rule-files",
        _rules,
        (ConfigError,),
        lambda: [*_configs("rules/dev-prod.yaml")(), _RULES],
    ),
    Target(
        "rules",
        _short_rule,
        (ConfigError,),
        texts(
            "planner@dev -> reviewer@prod kinds=request,inform transit",
            "* <-> * rate=10/min per=sender exceed=defer replies=3",
            "a*@dev -> #build.** size=..10KiB priority=3.. prefix=x. hold_for=1h",
        ),
    ),
    Target(
        "denials",
        _short_denial,
        (ConfigError,),
        texts("* -> ops@prod", "* <- a@prod labels=x,y", "* -> #a.* replies"),
    ),
    Target("durations", _duration, (ValueError,), texts("7d", "90 s", "500ms", "0")),
    Target("sizes", _size, (ValueError,), texts("64MiB", "10 KiB", "300B", "0")),
    Target("settings-json", _json_settings, _REFUSED, texts(*_JSON)),
    Target("settings-toml", _toml_settings, _REFUSED, texts(*_TOML)),
)
