"""
The kernel's evidence of a process.

Who am I, and does that owner still run?

A pid alone is reused. A process is known by boot id, pid namespace, pid and the raw start ticks
of ``/proc/PID/stat`` (proc(5), field 22); a machine by ``/etc/machine-id``.
"""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from orchestrator.protocol.types import Owner

_STAT_FIELDS_BEFORE_START: Final = 19
"""Fields of /proc/PID/stat between the closing parenthesis of the name and the start ticks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """
    What can be said of an owner's process from here.

    ``here`` is whether it ran on this machine; ``rebooted`` whether this machine has been started
    again since; ``visible`` whether our process table would show it; ``running`` whether it does.
    """

    here: bool
    rebooted: bool
    visible: bool
    running: bool


class ProcessTable(Protocol):
    """The one door to the process table, so that tests can fabricate it."""

    def me(self, program: str) -> Owner:
        """Return the identity of this process."""
        ...

    def look_for(self, owner: Owner) -> Sighting:
        """Return what this machine knows of the owner's process."""
        ...


class LinuxProcesses:
    """Reads /proc. Without a /proc it sees nothing, and says so: nobody is declared dead."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def me(self, program: str) -> Owner:
        """Return the identity of this process."""
        pid = os.getpid()
        return Owner(
            user=_user(),
            host=socket.gethostname() or "unknown",
            machine_id=self._machine_id(),
            boot_id=self._read("proc/sys/kernel/random/boot_id"),
            pid_namespace=self._namespace(),
            pid=pid,
            start_ticks=self._start_ticks(pid) or 0,
            program=program,
        )

    def look_for(self, owner: Owner) -> Sighting:
        """Return what this machine knows of the owner's process."""
        boot_id = self._read("proc/sys/kernel/random/boot_id")
        same_boot = boot_id == owner.boot_id and boot_id != "unknown"
        machine_id = self._machine_id()
        here = same_boot or (machine_id == owner.machine_id and machine_id != "unknown")
        namespace = self._namespace()
        visible = same_boot and namespace == owner.pid_namespace and namespace != "unknown"
        running = self._runs(owner) if visible else None
        return Sighting(
            here=here,
            rebooted=here and not same_boot and boot_id != "unknown",
            visible=running is not None,
            running=running is True,
        )

    def _machine_id(self) -> str:
        return self._read("etc/machine-id")

    def _read(self, name: str) -> str:
        try:
            return (self._root / name).read_text(encoding="ascii").strip() or "unknown"
        except (OSError, UnicodeDecodeError):
            return "unknown"

    def _namespace(self) -> str:
        try:
            return str((self._root / "proc/self/ns/pid").readlink())
        except OSError:
            return "unknown"

    def _runs(self, owner: Owner) -> bool | None:
        """Say whether the owner runs; ``None`` where /proc can't be read: that proves nothing."""
        try:
            return self._start_ticks(owner.pid) == owner.start_ticks
        except (FileNotFoundError, ProcessLookupError):
            return None if self._hidden() else False
        except (OSError, IndexError, ValueError):
            return None

    def _hidden(self) -> bool:
        """Whether /proc hides what is there (hidepid): then it does not show its first process."""
        return not (self._root / "proc/self").exists() or not (self._root / "proc/1").exists()

    def _start_ticks(self, pid: int) -> int | None:
        """Return the start ticks of a process that runs; a zombie process runs no more."""
        stat = (self._root / f"proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        after_name = stat.rpartition(")")[2].split()
        if after_name[0] in {"Z", "X", "x"}:
            return None
        return int(after_name[_STAT_FIELDS_BEFORE_START])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid-{os.getuid()}"
