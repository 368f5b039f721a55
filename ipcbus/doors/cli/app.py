"""`ipcbus`: from the command line to the exit code.

A one-shot command is what an AI calls most, so start-up time is a feature. What is
used most is read without click (`quick`); click is loaded for the rest, and to tell
what went wrong. This is also the border where errors become exit codes.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from threading import Thread
from typing import Final, NoReturn

from ipcbus.cores import forbid
from ipcbus.doors.cli.output import abandon_stdout, end_line, flush, prepare_stdout
from ipcbus.doors.cli.quick import understood

EXIT_INTERRUPTED: Final = 130
EXIT_PIPE: Final = 141
"""As the shells have it: after Ctrl-C, and when the reader of our output has gone."""

LAST_WORDS_S: Final = 0.5
"""Seconds that the last words may take to leave; on a machine at rest it is one
millisecond."""


def run(args: Sequence[str]) -> int:
    """Carry out a command line; the exit code. No exception leaves it."""
    try:
        code = _carry_out(args)
        flush()
    except KeyboardInterrupt:
        end_line()
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        abandon_stdout()
        return EXIT_PIPE
    except Exception as error:  # noqa: BLE001  the border: all of them end here
        from ipcbus.doors.cli.failures import report

        return report(error, as_json=_wants_json(args))
    return code if isinstance(code, int) else 0


def _carry_out(args: Sequence[str]) -> object:
    command = understood(args)
    if command is not None:
        return command()
    from ipcbus.doors.cli.commands import carry_out

    return carry_out(args)


def _wants_json(args: Sequence[str]) -> bool:
    """Errors of the parser itself come before any option was understood. What answers
    a model (`call`) has no other words than JSON."""
    options = args[: args.index("--")] if "--" in args else args
    return "--json" in options or options[:1] == ["call"]


def main() -> NoReturn:
    """The program."""
    # Nothing that is loaded becomes garbage: not looking for any until the command is
    # there saves 3 ms.
    gc.disable()
    prepare_stdout()
    forbid()
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
