"""Real processes of the product: started, stopped, continued, killed, and waited for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.source import ROOT

T = TypeVar("T")

POLL_S = 0.01
END_S = 30.0
"""No command of these tests may take longer, on a loaded machine either."""


def wait_for(what: str, look: Callable[[], T | None], within_s: float = END_S) -> T:
    """Return the first truthy answer of ``look``; fail, naming ``what``, when there is none."""
    give_up_at = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < give_up_at, f"not within {within_s:g} s: {what}"
        time.sleep(POLL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a process ended; ``document`` is its stdout where that is one JSON object."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"not one line on stdout: {self.out!r}; stderr: {self.err}"
        document: dict[str, Any] = json.loads(lines[0])
        return document

    def text(self) -> str:
        """Everything it said, for a failure's message."""
        return f"exit code {self.code}\n{self.out}{self.err}"


@dataclass(kw_only=True)
class Program:
    """One process of the product, its output in files that survive it."""

    name: str
    argv: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> Program:
        """Start it; the output of a former start is kept."""
        assert self.process is None or self.process.poll() is not None, f"{self.name} is running"
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._file("out").open("ab") as out, self._file("err").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, *self.argv],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        return self

    def _file(self, stream: str) -> Path:
        return self.directory / f"{self.name}.{stream}"

    @property
    def out(self) -> str:
        """Its stdout so far."""
        return self._file("out").read_text(errors="replace")

    @property
    def err(self) -> str:
        """Its stderr so far."""
        return self._file("err").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended; a stopped process runs too."""
        return self.process is not None and self.process.poll() is None

    def wait(self, within_s: float = END_S) -> Ran:
        """Wait for its end."""
        assert self.process is not None, f"{self.name} was not started"
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            tail = f"{self.out[-2000:]}\n{self.err[-4000:]}"
            raise AssertionError(f"{self.name} did not end in {within_s:g} s:\n{tail}") from None
        return Ran(code=code, out=self.out, err=self.err)

    def wait_until_stopped(self) -> None:
        """Wait until SIGSTOP has stopped it; fail if it ends instead."""
        assert self.process is not None, f"{self.name} was not started"

        def stopped() -> bool:
            if _state(self.pid) == "T":
                return True
            assert self.running, f"{self.name} ended, it never passed the point: {self.err}"
            return False

        wait_for(f"{self.name} stops", stopped)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> Ran:
        """End it with SIGKILL, as a power cut would."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def end(self) -> None:
        """Make sure that it has ended. Idempotent."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.kill()


def _state(pid: int) -> str:
    """Return the kernel's letter for the state of a process (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]
