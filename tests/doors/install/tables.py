"""Random TOML documents like Codex's config.toml."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from ipcbus.doors.install.jsonc import BOM

_KEYS: Final = (
    'model = "gpt"',
    "model  =  'literal [x]'  # [mcp_servers.ipcbus]",
    'model = """\n[mcp_servers.ipcbus]\ncommand = "fake"\n"""',
    "model = '''\n[mcp_servers.ipcbus]'''",
    'model = """quote\\""" # """',
    'model = [ # first\n  "a[", [1, 2],\n  "]", # ]\n]',
    'model = {a = "}", b = [ "{" ]}',
    "\tmodel = 1979-05-27T07:32:00Z",
    'model."x.y" = true',
)
_TABLES: Final = (
    "[projects.'/a b/[c]']\ntrust_level = \"trusted\"",
    "[mcp_servers.other]\ncommand = 'ipcbus'\nargs = ['mcp']",
    '  [ mcp_servers . files ]  # spaced\n  command = "x"',
    "[[list]]\na = 1\n\n[[list]]\na = 2",
    '[mcp_servers."ipcbus-2"]\ncommand = "ipcbus"',
    "[mcp_servers]",
    "[empty]",
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    keys = draw(st.lists(st.sampled_from(_KEYS), max_size=1))
    tables = draw(st.lists(st.sampled_from(_TABLES), unique=True, max_size=3))
    lines = []
    for part in [*keys, *tables]:
        lines += draw(st.lists(st.sampled_from(["", "# note", "  "]), max_size=2))
        lines.append(part)
    text = "\n".join(lines)
    text += draw(
        st.sampled_from(["", "\n", "\n\n", "\n# last", " # last\n\n", "\n \n"])
    )
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return (BOM if draw(st.booleans()) else "") + text
