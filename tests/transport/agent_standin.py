"""A program that behaves towards its supervisor as `ipcbus agent --json` does.

    python agent_standin.py HOW NAME

run: say that it works, then wait for SIGTERM.   crash: say so, then die by SIGKILL.
leave: say so, then exit 0.   die: exit 4 with an error.   key: exit 8 with an error.
plain: print what is no document, and run.   bug: exit 1 with a traceback.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from ipcbus import networks

VARIABLES = ("A_PLATFORM_KEY", "IPCBUS_NETWORK", "IPCBUS_AGENT")

ERRORS = {"die": (4, "no broker for dev"), "key": (8, "openai: there is no key")}


def main(how: str, name: str, *more: str) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if how == "bug":
        raise ZeroDivisionError("a bug")
    if how in ERRORS:
        code, message = ERRORS[how]
        _say({"error": {"code": "x", "message": message}})
        return code
    if how == "plain":
        sys.stdout.write("[1, 2]\nnull\nloaded a plug-in\n")
    served = " ".join(each.name for each in networks.networks() if each.is_served())
    own = [os.environ.get(name) for name in VARIABLES]
    facts = f"{own}, told {' '.join(more)}"
    _say({"said": f"{name} works, pid {os.getpid()}, with {served}, {facts}"})
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if how != "leave":
        signal.sigwait([signal.SIGTERM])
        (networks.home() / f"{name}.end").write_text(served)
    return 0


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
