"""
Simulated machines: boots, pids, and what a process can learn there of another.

The judgement is the product's own: :class:`SimProcesses` is
:class:`orchestrator.locksmith.processes.LinuxProcesses` over a table instead of ``/proc``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drone_sim.shells.clocks import true_s
from drone_sim.shells.loop import Process
from orchestrator.locksmith.processes import ANCESTORS_MAX, LinuxProcesses, _Shown
from orchestrator.protocol.types import Owner

TICKS_PER_S: Final = 100
"""USER_HZ, the unit of start ticks in /proc/PID/stat."""

FIRST_PID: Final = 1000
NAMESPACE: Final = "pid:[4026531836]"
"""The first pid namespace, which is what every machine begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What has, or had, a pid; ``process`` is ``None`` for a program that is none of ours."""

    ticks: int
    parent: int
    process: Process | None


class Machine:
    """
    One machine: its id stays, its boot id is new at each boot.

    ``booted_s`` is the true time of the last boot: what :class:`~.clocks.MachineClock` takes.
    """

    def __init__(self, name: str, *, namespace: str = NAMESPACE) -> None:
        self.name = name
        self.machine_id = f"machine-{name}"
        self.namespace = namespace
        self.boots = 1
        self.booted_s = 0.0
        self._next_pid = FIRST_PID
        self._table: dict[int, _Row] = {}

    @property
    def boot_id(self) -> str:
        """The id of this boot."""
        return f"boot-{self.boots}-{self.name}"

    def admit(self, process: Process, *, parent: Process | None = None) -> None:
        """Give a new process its pid and its start ticks: call it before it runs."""
        process.machine = self.name
        process.pid, self._next_pid = self._next_pid, self._next_pid + 1
        process.started = self._ticks()
        row = _Row(
            ticks=process.started, parent=1 if parent is None else parent.pid, process=process
        )
        self._table[process.pid] = row

    def reuse(self, process: Process) -> bool:
        """Let a program that is none of ours get the pid of a dead process; false if it lives."""
        row = self._table.get(process.pid)
        if process.alive or row is None or row.process is not process:
            return False
        ticks = max(self._ticks(), process.started + 1)
        self._table[process.pid] = _Row(ticks=ticks, parent=1, process=None)
        return True

    def reboot(self) -> None:
        """Kill every process, in the order of their pids, and start again under a new boot id."""
        table, self._table = self._table, {}
        for row in table.values():
            if row.process is not None:
                row.process.kill()
        self.boots += 1
        self.booted_s = true_s()
        self._next_pid = FIRST_PID

    def _ticks(self) -> int:
        return int((true_s() - self.booted_s) * TICKS_PER_S) + 1

    def shown(self, pid: int) -> _Shown:
        """Return what /proc would show under a pid: nothing of who has ended."""
        row = self._table.get(pid)
        if row is None or (row.process is not None and not row.process.alive):
            return _Shown()
        stopped = row.process is not None and row.process.paused
        return _Shown(ticks=row.ticks, state="T" if stopped else "S", parent=row.parent)


class SimProcesses(LinuxProcesses):
    """The process table as one process sees it; see ``orchestrator.locksmith.processes``."""

    def __init__(self, machine: Machine, process: Process, *, user: str = "ops") -> None:
        super().__init__()
        self._machine = machine
        self._process = process
        self._user = user

    @property
    def boot_id(self) -> str | None:
        """The id of this boot."""
        return self._machine.boot_id

    def me(self, program: str) -> Owner:
        """Return the identity of this process."""
        return Owner(
            user=self._user,
            host=self._machine.name,
            machine_id=self._machine.machine_id,
            boot_id=self._machine.boot_id,
            pid_namespace=self._machine.namespace,
            pid=self._process.pid,
            start_ticks=self._process.started,
            program=program,
        )

    def descends_from(self, owner: Owner) -> bool:
        """Whether this process is the owner, or was started by it, directly or not."""
        ours = (self._machine.boot_id, self._machine.namespace)
        if ours != (owner.boot_id, owner.pid_namespace):
            return False
        pid = self._process.pid
        for _ in range(ANCESTORS_MAX):
            shown = self._shown(pid)
            if pid == owner.pid:
                return owner.start_ticks > 0 and shown.is_running(owner)
            if shown.ticks is None:
                return False
            pid = shown.parent
        return False

    def _machine_id(self) -> str:
        return self._machine.machine_id

    def _namespace(self) -> str:
        return self._machine.namespace

    def _shown(self, pid: int) -> _Shown:
        return self._machine.shown(pid)
