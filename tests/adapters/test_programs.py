"""Programs are run for one answer, within bounds, and nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ipcbus.adapters import programs
from ipcbus.adapters.programs import (
    MOST_OUTPUT,
    STDERR_TAIL,
    Done,
    TookTooLong,
    Work,
    WroteTooMuch,
    run,
)
from tests.waiting import until_async

BOUND_S = 30.0


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "GRACE_S", 0.3)
    monkeypatch.setattr(programs, "LINGER_S", 0.3)


def work(
    code: str,
    stdin: str | None = None,
    timeout_s: float = BOUND_S,
    on_text: Callable[[str], object] | None = None,
    folder: Path = Path("/"),
) -> Work:
    command = (sys.executable, "-S", "-E", "-c", dedent(code))
    return Work(command, stdin, {"A": "b"}, folder, timeout_s, on_text)


def ran(code: str, stdin: str | None = None, **more: object) -> Done:
    return asyncio.run(run(work(code, stdin, **more)))  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waited for counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def pids(file: Path, count: int) -> list[int]:
    """The process ids in `file`, once there are `count`."""
    found = file.read_text().split("\n")[:-1] if file.exists() else []
    return [*map(int, found)] if len(found) == count else []


TREE = """
    import os, signal, sys, time
    def told(pid):
        with open("pids", "a") as file: file.write(f"{pid}\\n")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told(os.getpid())
    if os.fork() == 0:
        told(os.getpid())
        if os.fork() == 0:
            told(os.getpid())
    time.sleep(600)
"""
"""Three processes that do not end when they are asked to."""


# --- in and out ------------------------------------------------------------------


def test_it_reads_its_input_and_writes_its_answer() -> None:
    done = ran("import sys; print(sys.stdin.read().upper())", "grün \ud800")

    assert done == Done(0, "GRÜN ?\n", "")


def test_without_input_its_stdin_is_closed() -> None:
    assert ran("import sys; print(repr(sys.stdin.read()))").out == "''\n"


def test_it_has_the_environment_and_the_folder_that_were_given(tmp_path: Path) -> None:
    done = ran("import os; print(os.getcwd(), os.environ['A'])", folder=tmp_path)

    assert done.out == f"{tmp_path.resolve()} b\n"
    assert ran("import os; print('HOME' in os.environ)").out == "False\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("pass", 0),
    ],
)
def test_how_it_ended_is_told(code: str, expected: int) -> None:
    assert ran(code).code == expected


def test_one_that_does_not_read_all_of_a_long_input_is_no_failure() -> None:
    done = ran("print(input())", "first\n" + "x" * 4_000_000)

    assert (done.code, done.out) == (0, "first\n")


def test_input_and_output_may_be_long_at_once() -> None:
    text = "line\n" * 150_000

    done = ran("import sys\nfor line in sys.stdin: print(line, end='')", text)

    assert done.out == text


def test_what_is_no_text_is_told_as_far_as_it_is() -> None:
    assert ran("import os; os.write(1, b'a\\xff\\xc3')").out == "a\ufffd\ufffd"


def test_who_listens_hears_whole_letters_as_they_come(tmp_path: Path) -> None:
    """The second half of the letter is written when the first part was heard."""
    code = """
        import os
        os.write(1, b"a\\xc3")
        while not os.path.exists("heard"): pass
        os.write(1, b"\\xbc")
    """
    pieces: list[str] = []

    def on_text(piece: str) -> None:
        pieces.append(piece)
        (tmp_path / "heard").touch()

    done = ran(code, on_text=on_text, folder=tmp_path)

    assert pieces == ["a", "ü"]
    assert done.out == "aü"


def test_of_its_complaints_the_end_is_kept() -> None:
    done = ran("import sys; sys.stderr.write('x' * 100_000 + 'why')")

    assert done.err.endswith("xwhy")
    assert len(done.err) == STDERR_TAIL


def test_one_that_cannot_be_started_is_told() -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(run(work("pass")._replace(command=("/there/is/no/such",))))


# --- bounds ----------------------------------------------------------------------


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    code = "trap '' TERM; sleep 600 & echo $! > pids; echo $$ >> pids; wait; sleep 600"
    shell = work("", timeout_s=1.0, folder=tmp_path)._replace(
        command=("sh", "-c", code)
    )

    async def story() -> None:
        with pytest.raises(TookTooLong):
            await run(shell)
        family = pids(tmp_path / "pids", 2)
        assert family
        await until_async(lambda: all(map(gone, family)))

    asyncio.run(story())


def test_one_that_nobody_wants_any_more_is_ended_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        task = asyncio.create_task(run(work(TREE, folder=tmp_path)))
        await until_async(lambda: bool(pids(tmp_path / "pids", 3)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until_async(lambda: all(map(gone, pids(tmp_path / "pids", 3))))

    asyncio.run(story())


def test_one_that_is_cancelled_twice_is_ended_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        task = asyncio.create_task(run(work(TREE, folder=tmp_path)))
        await until_async(lambda: bool(pids(tmp_path / "pids", 3)))
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until_async(lambda: all(map(gone, pids(tmp_path / "pids", 3))))

    asyncio.run(story())


def test_one_is_asked_to_end_before_it_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "GRACE_S", BOUND_S)
    code = """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        open("ready", "w").close()
        signal.sigwait({signal.SIGTERM})  # a handler may come a moment before a sleep
        open("asked", "w").close()
    """

    async def story() -> None:
        task = asyncio.create_task(run(work(code, folder=tmp_path)))
        await until_async((tmp_path / "ready").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (tmp_path / "asked").exists()

    asyncio.run(story())


def test_one_that_writes_without_end_is_ended() -> None:
    with pytest.raises(WroteTooMuch):
        ran("while True: print('x' * 65536)")


def test_an_answer_may_be_as_long_as_a_body() -> None:
    code = f"import sys; sys.stdout.write('x' * {MOST_OUTPUT})"

    assert len(ran(code).out) == MOST_OUTPUT
    with pytest.raises(WroteTooMuch):
        ran(f"{code}; sys.stdout.write('x')")


def test_what_holds_on_to_its_output_is_ended_with_it(tmp_path: Path) -> None:
    code = """
        import os, time
        if os.fork() == 0:
            with open("new", "w") as file: file.write(f"{os.getpid()}\\n")
            os.rename("new", "pids")
            time.sleep(600)
        while not os.path.exists("pids"): pass
        print("done")
    """

    async def story() -> None:
        done = await run(work(code, folder=tmp_path))
        assert (done.code, done.out) == (0, "done\n")
        await until_async(lambda: bool(pids(tmp_path / "pids", 1)))
        await until_async(lambda: all(map(gone, pids(tmp_path / "pids", 1))))

    asyncio.run(story())


def test_a_service_that_it_starts_lives_on(tmp_path: Path) -> None:
    """As a broker does, which the first of its clients starts."""
    code = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            for fd in (0, 1, 2): os.close(fd)
            with open("new", "w") as file: file.write(f"{os.getpid()}\\n")
            os.rename("new", "pids")
            time.sleep(600)
        while not os.path.exists("pids"): pass
    """
    ran(code, folder=tmp_path)

    [service] = pids(tmp_path / "pids", 1)
    alive = not gone(service)
    os.kill(service, 9)
    assert alive


def test_many_run_at_once() -> None:
    async def story() -> None:
        code = "import sys; print(sys.stdin.read())"
        texts = [f"number {at}" for at in range(12)]
        done = await asyncio.gather(*(run(work(code, text)) for text in texts))
        assert [one.out.strip() for one in done] == texts

    asyncio.run(story())


def test_no_descriptors_are_left_open() -> None:
    async def story() -> None:
        await run(work("pass"))
        before = descriptors()
        for code in ("pass", "raise SystemExit(1)", "print('x' * 2_000_000)"):
            try:
                await run(work(code, "text"))
            except WroteTooMuch:
                continue
        await until_async(lambda: descriptors() <= before)

    asyncio.run(story())
