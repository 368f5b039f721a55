"""The environment of a program that works for an agent. Pure.

It inherits a few variables that programs cannot do without, those that its preset
needs, and what the user names; no others, since whatever it knows it may tell a peer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

INHERITED: Final = (
    *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LANGUAGE", "LC_*", "TZ"),
    *("TMPDIR", "XDG_*", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("IPCBUS_HOME", "IPCBUS_NETWORK"),
)
"""Not IPCBUS_AGENT: whatever it reads of the bus by itself would be mail that was to be
answered here."""

FIXED: Final[Mapping[str, str]] = {
    "IPCBUS_HOOKS": "off",  # hooks are for the seat that a person sits at
    "NO_COLOR": "1",
    "TERM": "dumb",
}

_SECRET: Final = re.compile(r"(?i)key|token|secret|passw|credential|auth")
_SHORTEST: Final = 6
"""Letters of a secret; what is shorter would be found in any text."""


def environment(
    inherited: Mapping[str, str], patterns: Iterable[str], own: Mapping[str, str]
) -> dict[str, str]:
    """Of `inherited` what is needed or fits `patterns`; then what the user set."""
    wanted = (*INHERITED, *patterns)
    kept = {
        name: value
        for name, value in inherited.items()
        if any(fnmatchcase(name, pattern) for pattern in wanted)
    }
    return {**kept, **FIXED, **own}


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """`text` with the values of variables that look like secrets replaced by their
    names: programs like to repeat the key that was refused."""
    secrets = [
        (value, name)
        for name, value in environment.items()
        if len(value) >= _SHORTEST and _SECRET.search(name)
    ]
    for value, name in sorted(secrets, key=lambda pair: -len(pair[0])):
        text = text.replace(value, f"({name})")
    return text
