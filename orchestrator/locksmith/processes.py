"""
The kernel's evidence of a process.

Who am I, and does that owner still run?

A pid alone is reused. A process is known by boot id, pid namespace, pid and the raw start ticks
of ``/proc/PID/stat`` (proc(5), field 22); a machine by ``/etc/machine-id``.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from orchestrator.protocol.types import Owner

UNKNOWN: Final = "unknown"
"""Stands in an Owner where the kernel did not tell: it equals nothing, not even itself."""

_NO_ID: Final = frozenset({"", "uninitialized"})
"""What machine-id(5) holds before a machine has one."""

_STAT_FIELDS_BEFORE_START: Final = 19
"""Fields of /proc/PID/stat between the closing parenthesis of the name and the start ticks."""

_STAT_PARENT: Final = 1
"""The place of the parent's pid, counted in the same way (proc(5), field 4)."""

ANCESTORS_MAX: Final = 256
"""How far up a family is followed: a table that is read while it changes might show a circle."""

_ENDED: Final = frozenset("ZXx")
_STOPPED: Final = frozenset("Tt")
_HIDES: Final = re.compile(r" /proc .*\bhidepid=(?!0|off)")
"""A line of mountinfo, of a /proc that does not show everybody's processes to everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """
    What can be said of an owner's process from here.

    ``here`` is whether it ran on this machine; ``rebooted`` whether this machine has been started
    again since; ``visible`` whether our process table would show it; ``running`` whether it does,
    and ``stopped`` whether it is stopped by a signal or a debugger. ``hidden`` is why it is not
    visible: /proc does not show it; otherwise it is in another pid namespace. ``ticks_now`` are
    the start ticks of whatever has its pid now, ``boot_now`` is this boot's id, for the evidence.
    """

    here: bool
    rebooted: bool
    visible: bool
    running: bool
    stopped: bool = False
    hidden: bool = False
    ticks_now: int | None = None
    boot_now: str | None = None


class ProcessTable(Protocol):
    """The one door to the process table, so that tests can fabricate it."""

    @property
    def boot_id(self) -> str | None:
        """The id of this boot, ``None`` where it is not known: for the stamps of leases."""
        ...

    def me(self, program: str) -> Owner:
        """Return the identity of this process."""
        ...

    def look_for(self, owner: Owner) -> Sighting:
        """Return what this machine knows of the owner's process."""
        ...

    def descends_from(self, owner: Owner) -> bool:
        """Whether this process is the owner, or was started by it, directly or not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What has a pid now: nothing, where ``ticks`` is ``None``."""

    ticks: int | None = None
    state: str = "X"
    parent: int = 0

    def is_running(self, owner: Owner) -> bool:
        """Whether it is the owner, and has not ended; a zombie process runs no more."""
        return self.ticks == owner.start_ticks and self.state not in _ENDED


class LinuxProcesses:
    """Reads /proc. Without a /proc it sees nothing, and says so: nobody is declared dead."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    @cached_property
    def boot_id(self) -> str | None:
        """The id of this boot, read once: for Stamps. ``None`` where the kernel tells none."""
        boot_id = self._read("proc/sys/kernel/random/boot_id")
        return None if boot_id == UNKNOWN else boot_id

    def me(self, program: str) -> Owner:
        """Return the identity of this process."""
        pid = os.getpid()
        shown = self._shown(pid)
        return Owner(
            user=_user(),
            host=socket.gethostname() or UNKNOWN,
            machine_id=self._machine_id(),
            boot_id=self.boot_id or UNKNOWN,
            pid_namespace=self._namespace(),
            pid=pid,
            start_ticks=0 if shown is None else shown.ticks or 0,
            program=program,
        )

    def look_for(self, owner: Owner) -> Sighting:
        """Return what this machine knows of the owner's process."""
        same_boot = _known_equal(self.boot_id or UNKNOWN, owner.boot_id)
        here = same_boot or _known_equal(self._machine_id(), owner.machine_id)
        both_boots = self.boot_id is not None and owner.boot_id != UNKNOWN
        rebooted = here and both_boots and not same_boot
        namespace = self._namespace()
        ours = same_boot and _known_equal(namespace, owner.pid_namespace) and owner.start_ticks > 0
        elsewhere = same_boot and _known_different(namespace, owner.pid_namespace)
        shown = self._shown(owner.pid) if ours else None
        running = shown is not None and shown.is_running(owner)
        return Sighting(
            here=here,
            rebooted=rebooted,
            visible=shown is not None,
            running=running,
            stopped=running and shown is not None and shown.state in _STOPPED,
            hidden=here and not rebooted and not elsewhere and shown is None,
            ticks_now=None if shown is None else shown.ticks,
            boot_now=self.boot_id,
        )

    def descends_from(self, owner: Owner) -> bool:
        """
        Whether this process is the owner, or was started by it, directly or not.

        Followed from parent to parent. Who has lost a parent on the way was adopted by somebody
        else: then nothing is known of where it came from, and the answer is no.
        """
        same_boot = _known_equal(self.boot_id or UNKNOWN, owner.boot_id)
        if not same_boot or not _known_equal(self._namespace(), owner.pid_namespace):
            return False
        pid = os.getpid()
        for _ in range(ANCESTORS_MAX):
            shown = self._shown(pid)
            if shown is None or pid == 0:
                return False
            if pid == owner.pid:
                return owner.start_ticks > 0 and shown.is_running(owner)
            pid = shown.parent
        return False

    def _machine_id(self) -> str:
        return self._read("etc/machine-id")

    def _read(self, name: str) -> str:
        try:
            found = (self._root / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return UNKNOWN
        return UNKNOWN if found in _NO_ID else found

    def _namespace(self) -> str:
        """Return our pid namespace; unknown where /proc is another's, whose pids are not ours."""
        proc = self._root / "proc"
        try:
            if str((proc / "self").readlink()) != str(os.getpid()):
                return UNKNOWN
            return str((proc / "self/ns/pid").readlink())
        except OSError:
            return UNKNOWN

    def _shown(self, pid: int) -> _Shown | None:
        """Return what has the pid; ``None`` where /proc can't be read: that proves nothing."""
        stat = self._root / f"proc/{pid}/stat"
        try:
            after_name = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
            fields = after_name.split()
            return _Shown(
                state=fields[0],
                ticks=int(fields[_STAT_FIELDS_BEFORE_START]),
                parent=int(fields[_STAT_PARENT]),
            )
        except (FileNotFoundError, ProcessLookupError):
            return None if self._hides() else _Shown()
        except (OSError, IndexError, ValueError):
            return None

    def _hides(self) -> bool:
        """Whether /proc hides what is there (hidepid): then what it lacks may yet run."""
        proc = self._root / "proc"
        if not (proc / "self").exists() or not (proc / "1").exists():
            return True
        try:
            mounts = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return True
        return _HIDES.search(mounts) is not None


def _known_equal(one: str, other: str) -> bool:
    return one == other and UNKNOWN not in {one, other}


def _known_different(one: str, other: str) -> bool:
    return one != other and UNKNOWN not in {one, other}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid-{os.getuid()}"
