"""Runs an operator's command: its own process group, a time-out, the last thing it said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

KILL_GRACE_S: Final = 1.0
"""How long a command that was told to end may take before its whole group is killed."""

_TAIL_BYTES: Final = 4096
_LINE_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """
    How a command ended.

    ``code`` is its exit code, negative for a signal; ``None`` where it ran out of time and was
    killed. ``said`` is the last line of its stderr, cut and printable.
    """

    code: int | None
    said: str = ""


class CommandUnusable(Exception):  # noqa: N818 - an answer, not an error
    """The command can't be started; the message says why."""


class Commands(Protocol):
    """Runs commands."""

    async def run(
        self, argv: Sequence[str], environment: Mapping[str, str], time_limit_s: float
    ) -> Ended:
        """
        Run ``argv`` (no shell) with ``environment`` added to our own, and wait for its end.

        Raises CommandUnusable. Cancelled, it ends the command too.
        """
        ...


class OsCommands:
    """Commands of this machine; see :class:`Commands`."""

    async def run(
        self, argv: Sequence[str], environment: Mapping[str, str], time_limit_s: float
    ) -> Ended:
        """Run in a new session, so that a kill reaches whatever the command has started."""
        with _Tail() as tail:
            process = await _start(argv, environment, tail)
            try:
                async with asyncio.timeout(time_limit_s):
                    code: int | None = await process.wait()
            except TimeoutError:
                await _end(process)
                code = None
            except asyncio.CancelledError:
                await _end(process)
                raise
            return Ended(code=code, said=tail.last_line())


async def _start(
    argv: Sequence[str], environment: Mapping[str, str], tail: _Tail
) -> asyncio.subprocess.Process:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=tail.write_end,
            start_new_session=True,
        )
    except OSError as error:
        msg = f"{argv[0]}: {error.strerror or error}"
        raise CommandUnusable(msg) from error
    except ValueError as error:  # a NUL byte in an argument
        msg = f"{argv[0]!a}: {error}"
        raise CommandUnusable(msg) from error
    finally:
        tail.close_write_end()
    return process


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the whole group to end, then kill it."""
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILL_GRACE_S):
            await process.wait()
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, how: signal.Signals) -> None:
    """Signal a group. Its number is not given to another while one of its members lives."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, how)


class _Tail:
    """
    A pipe of which only the end is kept.

    Not asyncio's own: that one is waited for until every process that inherited it has closed
    it, so a hook that leaves a daemon behind would look as if it never ended.
    """

    def __init__(self) -> None:
        self._kept = b""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._read_end, self._read)
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)

    def close_write_end(self) -> None:
        os.close(self.write_end)

    def _read(self) -> bool:
        """Take what is there; false at the end, or when nothing is there now."""
        try:
            data = os.read(self._read_end, _TAIL_BYTES)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._read_end)
        self._kept = (self._kept + data)[-_TAIL_BYTES:]
        return bool(data)

    def last_line(self) -> str:
        """Return the last line that is not blank: what the command itself wrote is there now."""
        for _ in range(16):  # the capacity of a pipe; a daemon behind it may write for ever
            if not self._read():
                break
        lines = self._kept.decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return "".join(char if char.isprintable() else "?" for char in said)[:_LINE_CHARS_MAX]
