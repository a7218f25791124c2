"""
Runs a command that somebody holds a lock for: its own process group, our terminal, our streams.

The group is what a signal reaches, so that nothing which the command has started works on under a
lock that was lost. A terminal of which we are the foreground is handed over to the group for as
long as the command runs: it may ask questions there, and Ctrl-C is for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
"""Exit codes of a command that could not be started (POSIX, XCU 2.8.2)."""

LOOK_EVERY_S: Final = 0.05
"""How often a group that was told to end is looked at."""

RESUME_EVERY_S: Final = 0.5

_STDIN: Final = 0
_STDERR: Final = 2
_SIGNALLED: Final = 128
_BY_THE_TERMINAL: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})


class CommandUnusable(Exception):  # noqa: N818 - an answer, not an error
    """The command can't be started; the message says why, ``code`` is what a shell ends with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Program(Protocol):
    """A command that was started."""

    async def wait(self) -> int:
        """Wait for its end; return its exit code, 128 + n where signal n has ended it."""
        ...

    def send(self, number: int) -> None:
        """Send a signal to its whole group; nothing once it has ended."""
        ...

    async def end(self, patience_s: float) -> None:
        """
        Ask its whole group to end, kill what is left after ``patience_s``, and wait for it.

        Nothing is done where the command has ended by itself.
        """
        ...


class OsProgram:
    """A command of this machine; see :class:`Program`. Made by :func:`launch`."""

    def __init__(self, process: asyncio.subprocess.Process, *, terminal: bool) -> None:
        self.pid = process.pid
        self._process = process
        self._terminal = terminal
        if terminal:
            _give_terminal(process.pid)
            self.send(signal.SIGCONT)  # it may have asked for the terminal before it had it

    async def wait(self) -> int:
        """Wait for its end, and take the terminal back."""
        ending = asyncio.ensure_future(self._process.wait())
        try:
            while not ending.done():
                await asyncio.wait({ending}, timeout=RESUME_EVERY_S if self._terminal else None)
                self._resume()
        finally:
            ending.cancel()
            if self._terminal:
                _give_terminal(os.getpgrp())
        code = ending.result()
        return code if code >= 0 else _SIGNALLED - code

    def _resume(self) -> None:
        """Wake it where Ctrl-Z has put it to sleep: asleep it would hold its lock for ever."""
        if not self._terminal or self._process.returncode is not None:
            return
        with contextlib.suppress(ChildProcessError):
            found = os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG)
            if found is not None and found.si_status in _BY_THE_TERMINAL:
                self.send(signal.SIGCONT)

    def send(self, number: int) -> None:
        """Send a signal to its whole group."""
        if self._process.returncode is None:
            _signal(self._process.pid, number)

    async def end(self, patience_s: float) -> None:
        """Ask its whole group to end, and then kill it."""
        if self._process.returncode is not None:
            return
        group = self._process.pid
        _signal(group, signal.SIGTERM)
        _signal(group, signal.SIGCONT)  # whoever is stopped would take it only when it goes on
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while _signal(group, 0):  # noqa: ASYNC110 - nothing tells that a group is empty
                    await asyncio.sleep(LOOK_EVERY_S)
        _signal(group, signal.SIGKILL)
        await self._process.wait()


async def launch(
    argv: Sequence[str], environment: Mapping[str, str], *, stdout_is_ours: bool = False
) -> OsProgram:
    """
    Start ``argv`` (no shell) with ``environment`` added to our own, on our own streams.

    With ``stdout_is_ours`` what it writes to stdout goes to stderr. Raises CommandUnusable.
    """
    terminal = _is_ours()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={**os.environ, **environment},
            stdout=_STDERR if stdout_is_ours else None,
            process_group=0,
        )
    except FileNotFoundError as error:
        raise CommandUnusable(f"{argv[0]}: {error.strerror}", NOT_FOUND) from error
    except OSError as error:
        raise CommandUnusable(f"{argv[0]}: {error.strerror or error}", NOT_EXECUTABLE) from error
    except ValueError as error:  # a NUL byte in an argument
        raise CommandUnusable(f"{argv[0]!a}: {error}", NOT_EXECUTABLE) from error
    return OsProgram(process, terminal=terminal)


def _signal(group: int, number: int) -> bool:
    """
    Signal a group; false where nobody is left in it.

    Its number is not given to another while one of its members lives.
    """
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # all that is left of it has become another user's
        return False
    return True


def _is_ours() -> bool:
    """Whether stdin is our terminal, and we are in its foreground."""
    try:
        return os.isatty(_STDIN) and os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:
        return False


def _give_terminal(group: int) -> None:
    """Make ``group`` the foreground of our terminal; whoever is in the background may too."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with contextlib.suppress(OSError):  # the terminal or the group has gone meanwhile
            os.tcsetpgrp(_STDIN, group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
