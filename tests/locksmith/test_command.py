"""Real commands: their end, their signals, their group, their terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.locksmith.command import CommandUnusable, OsProgram, launch
from tests.source import ROOT

STUBBORN = "trap '' TERM; echo up > up; while :; do sleep 0.05; done"
FAMILY = "(trap '' TERM; echo up > up; while :; do sleep 0.05; done) & wait"
END_S = 20.0


async def shell(script: str, environment: Mapping[str, str] | None = None) -> OsProgram:
    """Start a shell."""
    return await launch(["sh", "-c", script], environment or {})


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that only the kernel knows."""
    async with asyncio.timeout(END_S):
        while not true():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


def alive(group: int) -> bool:
    """Whether a process of the group runs; one that has ended and waits for init does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
async def test_the_code_is_the_commands_own(script: str, code: int) -> None:
    """Or 128 and the number of the signal, as a shell says it."""
    program = await shell(script)
    assert code == await program.wait()


async def test_the_environment_is_ours_and_more(tmp_path: Path) -> None:
    """PATH is there, and what was added."""
    out = tmp_path / "out"
    program = await shell(
        'echo "$PATH|$AIM_LOCK_ID" > "$OUT"', {"OUT": str(out), "AIM_LOCK_ID": "y@1"}
    )
    assert 0 == await program.wait()
    assert f"{os.environ['PATH']}|y@1" == out.read_text().strip()


@pytest.mark.parametrize(
    ("argv", "code"), [(["no-such-command"], 127), (["/etc/passwd"], 126), (["a\0b"], 126)]
)
async def test_what_can_not_be_started_says_why(argv: list[str], code: int) -> None:
    """127 for what is not there, 126 for what is no program."""
    with pytest.raises(CommandUnusable) as caught:
        await launch(argv, {})
    assert code == caught.value.code


async def test_a_signal_reaches_the_whole_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command has started is signalled with it, and we are not."""
    monkeypatch.chdir(tmp_path)
    program = await shell("(trap 'echo told > child; exit' HUP; echo up > up; sleep 9) & wait")
    await until((tmp_path / "up").exists)
    program.send(signal.SIGHUP)
    await program.wait()
    await until((tmp_path / "child").exists)


@pytest.mark.parametrize("script", [STUBBORN, FAMILY], ids=["the-command", "its-child"])
async def test_whoever_does_not_obey_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """After the patience is over nobody of the group is left."""
    monkeypatch.chdir(tmp_path)
    program = await shell(script)
    await until((tmp_path / "up").exists)
    await program.end(0.2)
    await until(lambda: not alive(program.pid))


async def test_a_stopped_command_can_be_ended(tmp_path: Path) -> None:
    """SIGTERM waits for whoever is stopped: so it is woken."""
    program = await shell("kill -STOP $$; exit 0")
    async with asyncio.timeout(END_S):
        await program.end(END_S)
        assert 143 == await program.wait()


async def test_what_has_ended_is_left_alone() -> None:
    """Its number may be somebody else's by now."""
    program = await shell("exit 0")
    await program.wait()
    program.send(signal.SIGKILL)
    await program.end(0.0)
    assert 0 == await program.wait()


OWN_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
"""
RUN = """\
import asyncio, os, signal, sys
from orchestrator.locksmith.command import launch
async def main():
    program = await launch(["sh", "-c", sys.argv[1]], {})
    print("handed over", flush=True)
    code = await program.wait()
    print("code", code, "ours", os.tcgetpgrp(0) == os.getpgrp(), flush=True)
asyncio.run(main())
"""
HANDED = ("handed over", b"")
"""Until then a key is for us, and `aimctl lock run` passes it on."""


def on_a_terminal(script: str, *typed: tuple[str, bytes]) -> str:
    """Run a command on a terminal of its own; type something after each word that it shows."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, RUN, script],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, waiting = "", list(typed)
    try:
        while True:
            shown += os.read(ours, 4096).decode()
            while waiting and waiting[0][0] in shown:
                os.write(ours, waiting.pop(0)[1])
    except OSError:  # how Linux tells that the other end has been closed
        return shown
    finally:
        os.close(ours)  # whoever still waits for a key is hung up on
        process.wait(END_S)


def test_the_terminal_is_the_commands_while_it_runs() -> None:
    """It may ask a question there; afterwards the terminal is ours again."""
    shown = on_a_terminal('echo name?; read x; echo "hello $x"', ("name?", b"mira\n"))
    assert "hello mira" in shown
    assert "code 0 ours True" in shown


def test_ctrl_c_is_the_commands() -> None:
    """We are not interrupted, and see how it ends."""
    shown = on_a_terminal(
        "trap 'exit 5' INT; echo up; while :; do sleep 0.05; done", HANDED, ("up", b"\x03")
    )
    assert "code 5 ours True" in shown


def test_ctrl_z_does_not_put_it_to_sleep() -> None:
    """Asleep it would hold its lock for ever."""
    shown = on_a_terminal(
        "echo up; read x; echo woke $x; exit 0", HANDED, ("up", b"\x1a"), ("^Z", b"yes\n")
    )
    assert "woke yes" in shown
    assert "code 0 ours True" in shown
