"""
The child processes of the demo: started by it, killed for real, and all ended with it.

Children run in the story's directory, with the story's journal and broker in their environment;
nothing of the caller configures them: the environment goes before any file, and the caller's own
``AIMCTL_…`` are left out. They are in a process group of their own, so a Ctrl-C reaches the demo
alone, which then ends them by their pids.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from drone_sim.demo.workspace import Workspace
from orchestrator.ports import Clock

COMMAND_TIMEOUT_S: Final = 60.0
END_TIMEOUT_S: Final = 3.0
OUTPUT_BYTES_MAX: Final = 4 * 1024 * 1024
KILLED: Final = -signal.SIGKILL
"""The code of a process that ended by kill -9."""

PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "aimctl": ("-m", "orchestrator.cli"),
    "drone-sim": ("-m", "drone_sim"),
    "python": (),
}
"""How this interpreter runs a program; what is shown is its name."""

_NOT_GIVEN: Final = ("AIMCTL_", "FORCE_COLOR")
_IMPORTS: Final = Path(__file__).resolve().parents[2]


class StepError(Exception):
    """A step of the story could not be done; the message shows what the program said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line as a person types it; the first word is one of :data:`PROGRAMS`."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Show it for a shell."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*settings, shlex.join(self.words)])

    @property
    def arguments(self) -> tuple[str, ...]:
        """What is executed."""
        program, *rest = self.words
        if program not in PROGRAMS:
            return self.words
        return (sys.executable, *PROGRAMS[program], *rest)


def command(line: str, **environment: str) -> Command:
    """Make a command from a line, as a shell would split it."""
    return Command(words=tuple(shlex.split(line)), environment=environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that has ended. ``seconds`` is how long it ran."""

    command: Command
    code: int
    stdout: str
    stderr: str
    seconds: float

    def document(self) -> dict[str, object]:
        """Return it for the demo's JSON document."""
        return {
            "command": str(self.command),
            "exit_code": self.code,
            "seconds": round(self.seconds, 3),
        }


class Children:
    """
    Every process that one story starts. Use as an async context manager: none outlives it.

    ``broker`` is the broker's URL.
    """

    def __init__(self, workspace: Workspace, broker: str, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._environment = _environment(workspace, broker)
        self._running: list[Process] = []
        self.done: list[Done] = []

    async def __aenter__(self) -> Self:
        """Start nothing yet."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End whatever still runs: politely, then by force."""
        left = [process for process in self._running if process.returncode is None]
        for process in left:
            with suppress(ProcessLookupError):
                process.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await asyncio.gather(*(process.wait() for process in left))
        except (TimeoutError, asyncio.CancelledError) as error:
            await _kill(left)
            if isinstance(error, asyncio.CancelledError):
                raise

    async def run(self, wanted: Command, timeout_s: float = COMMAND_TIMEOUT_S) -> Done:
        """Run a command to its end. Raises StepError if it does not end in time."""
        began = self._clock.monotonic()
        process = await self._spawn(wanted, stdout=PIPE, stderr=PIPE)
        try:
            async with asyncio.timeout(timeout_s):
                stdout, stderr = await process.communicate()
        except TimeoutError:
            raise StepError(f"{wanted}\nhas not ended within {timeout_s:g} s") from None
        finally:
            if process.returncode is None:
                await _kill([process])
            self._running.remove(process)
        done = Done(
            command=wanted,
            code=_code(process),
            stdout=stdout.decode(errors="replace"),
            stderr=stderr.decode(errors="replace"),
            seconds=self._clock.monotonic() - began,
        )
        self.done.append(done)
        return done

    async def start(self, wanted: Command) -> Started:
        """Start a program that runs as long as the story; what it says goes to a file."""
        log = self._workspace.directory / f"{wanted.words[0]}.log"
        with log.open("wb") as file:
            process = await self._spawn(wanted, stdout=file.fileno(), stderr=file.fileno())
        return Started(command=wanted, process=process, log=log)

    async def _spawn(self, wanted: Command, *, stdout: int, stderr: int) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(*_dies_with_us(), *wanted.arguments),
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=self._workspace.directory,
            env={**self._environment, **wanted.environment},
            process_group=0,
            limit=OUTPUT_BYTES_MAX,
        )
        self._running.append(process)
        return process


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A program that runs beside the story."""

    command: Command
    process: Process
    log: Path

    def require_running(self) -> None:
        """Raise StepError, with what it said, if it has ended."""
        if self.process.returncode is not None:
            said = self.log.read_text(errors="replace").strip()[-2000:]
            raise StepError(f"{self.command}\nended with code {self.process.returncode}\n{said}")


def _code(process: Process) -> int:
    return -1 if process.returncode is None else process.returncode


async def _kill(processes: list[Process]) -> None:
    """End processes by kill -9 and reap them; a Process never signals a pid that it has reaped."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
    await asyncio.gather(*(process.wait() for process in processes), return_exceptions=True)


def _dies_with_us() -> tuple[str, ...]:
    """Return a prefix by which the kernel ends a child if the demo itself is killed with -9."""
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "KILL", "--")


def _environment(workspace: Workspace, broker: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_GIVEN)}
    places = [str(_IMPORTS), *filter(None, [kept.get("PYTHONPATH")])]
    nowhere = str(workspace.directory / "home")
    return {
        **kept,
        "AIMCTL_STORE": workspace.store_url,
        "AIMCTL_BROKER": broker,
        "AIMCTL_OUTPUT": "text",
        "AIMCTL_LOG_LEVEL": "warning",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join(places),
        "XDG_CONFIG_HOME": nowhere,
        "XDG_STATE_HOME": nowhere,
    }
