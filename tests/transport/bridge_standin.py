"""A program that behaves towards its supervisor as `ipcbus bridge` does.

    python bridge_standin.py HOW NAME

run: say that it works, then wait for SIGTERM, and say which brokers were up then.
deaf: run, but ignore SIGTERM.   die: exit 3 at once, with a sentence.
refuse: exit 2 with a sentence and a hint.   bug: exit 1 with a traceback.
crash: say that it works, then die by SIGKILL.   leave: say so, then exit 0.
half: say a line, and die in the middle of the next one.   busy: exit 12.
gone: exit 2 without a word.
"""

from __future__ import annotations

import os
import signal
import sys

from ipcbus import networks

WORDS = {
    "die": (3, "ipcbus: nothing came"),
    "refuse": (2, "ipcbus: rules.yaml: rules.ci (line 3): no\\such\nTry: --help"),
    "busy": (12, "ipcbus: prod is served by process 7"),
    "gone": (2, ""),
}


def main(how: str, name: str) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if how in WORDS:
        code, words = WORDS[how]
        sys.stderr.write(words)
        return code
    if how == "bug":
        raise ZeroDivisionError("a bug")
    _say(f"{name} works, pid {os.getpid()}, with {_served()}\n")
    if how == "half":
        os.write(1, b"and th\xff")
        return 3
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    return 0 if how == "leave" else _wait(how, name)


def _wait(how: str, name: str) -> int:
    signal.sigwait([signal.SIGTERM])
    (networks.home() / f"{name}.end").write_text(_served())
    while how == "deaf":
        signal.pause()
    return 0


def _served() -> str:
    return " ".join(each.name for each in networks.networks() if each.is_served())


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
