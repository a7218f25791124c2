"""
Processes that are asked by a line and answer with a line of JSON.

The parent holds a child's standard input; when that ends, for whatever reason, so does the
child. So nothing is left behind by a benchmark that was killed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import Exit, OperatingError

ANSWER_S: Final = 120.0
END_S: Final = 15.0
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
TAIL_CHARS: Final = 2000
ROOT: Final = Path(__file__).resolve().parents[2]
"""Where ``python -m`` finds our packages."""

Answer = Mapping[str, Any]


class Child:
    """A process; see the module. Made by :func:`start`; what it tells people is in ``log``."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log

    async def answer(self, timeout_s: float = ANSWER_S) -> Answer:
        """Return its next line. Raises OperatingError if it ends instead, or takes too long."""
        stdout = self.process.stdout
        line = b""
        if stdout is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    line = await stdout.readline()
            except TimeoutError:
                raise self.failed(f"has not answered within {timeout_s:g} s") from None
        if not line:
            raise self.failed("has ended")
        found: Answer = json.loads(line)
        return found

    async def ask(self, line: str, timeout_s: float = ANSWER_S) -> Answer:
        """Send a line and return the answer."""
        stdin = self.process.stdin
        if stdin is not None:
            with suppress(ConnectionError):
                stdin.write(line.encode() + b"\n")
                await stdin.drain()
        return await self.answer(timeout_s)

    def failed(self, what: str) -> OperatingError:
        """Return the error that says so, with what the process said last."""
        said = tail(self._log)
        return OperatingError(
            f"{self.name} {what}" + (f":\n{said}" if said else ""), exit_code=Exit.UNEXPECTED
        )

    async def end(self) -> None:
        """End it: by the end of its input, then politely, then by force."""
        process = self.process
        if process.stdin is not None:
            process.stdin.close()
        for urge in (_nothing, process.terminate, process.kill):
            with suppress(ProcessLookupError):
                urge()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await process.wait()
                    return


def _nothing() -> None:
    """Give it time."""


async def start(name: str, directory: Path, module: str, *arguments: str) -> Child:
    """Start ``python -m module`` as a child whose messages for people go to a file."""
    log = directory / f"{name}.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(*dies_with_us(), sys.executable, "-m", module, *arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=said,
            cwd=ROOT,
            limit=LINE_BYTES_MAX,
        )
    return Child(name, process, log)


def tail(log: Path) -> str:
    """Return the last of what a process has said."""
    return log.read_text(errors="replace").strip()[-TAIL_CHARS:]


def dies_with_us() -> Sequence[str]:
    """Return a prefix that makes the kernel end a child when this program is killed."""
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "KILL", "--")


async def run(*arguments: str, timeout_s: float) -> tuple[int, str, str]:
    """Run ``python ARGUMENTS`` to its end; return its code and what it printed on both sides."""
    process = await asyncio.create_subprocess_exec(
        *(*dies_with_us(), sys.executable, *arguments),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        return -1, "", f"it has not ended within {timeout_s:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = -1 if process.returncode is None else process.returncode
    return code, out.decode(errors="replace"), err.decode(errors="replace")


# --- the child's side ---------------------------------------------------------------------------


async def serve(handle: Callable[[str], Awaitable[Answer]], first: Answer) -> None:
    """Say ``first``, then answer each line of standard input, until that ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _say(first)
    while line := await reader.readline():
        _say(await handle(line.decode().strip()))


def _say(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
