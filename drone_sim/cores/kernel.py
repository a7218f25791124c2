"""
What the kernels of the machines show of a pid: nothing, the process itself, or a later program.

Whether what is shown is the owner of a lock is the product's judgement; see :func:`.rules.runs`.
"""

from __future__ import annotations

from drone_sim.cores import rules
from orchestrator.protocol.types import Owner


class Kernel:
    """The process tables of all machines: the start ticks of whatever has a pid now."""

    def __init__(self) -> None:
        self._ticks: dict[str, dict[int, int]] = {}

    def admit(self, machine: str, pid: int, start_ticks: int) -> None:
        """Let a program that starts have a pid."""
        self._ticks.setdefault(machine, {})[pid] = start_ticks

    def release(self, machine: str, pid: int) -> None:
        """Let the pid of a program that has ended be free."""
        self._ticks.get(machine, {}).pop(pid, None)

    def reboot(self, machine: str) -> None:
        """Let nothing run on a machine."""
        self._ticks.pop(machine, None)

    def runs(self, owner: Owner) -> bool:
        """Whether the table of an owner's machine shows that very process."""
        return rules.runs(owner, self._ticks.get(owner.machine_id, {}).get(owner.pid))
