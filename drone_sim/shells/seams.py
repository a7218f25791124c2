"""
Every point of I/O of a run, numbered, and the death of whoever gets to a given one.

A run counts its seams once and is then repeated with a crash at each (:class:`Crash`). Seams in
plain code are the product's own fault points (:class:`SimFaults`) and a disk's; those of the store
are in :mod:`.store`. To die there, the process is marked dead, so that nothing that it still does
has an effect, and :class:`~drone_sim.shells.loop.Killed` ends the callback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drone_sim.result import Crash
from drone_sim.shells.loop import Killed, Process
from orchestrator.faultpoints import FaultPoints

OnSeam = Callable[[int, Process, str], None]


class Seams:
    """
    The seams of one run, over all of its processes.

    ``count`` is how many were passed. ``crashes`` are those at which their owner dies; the ones at
    awaits are the loop's business and are left alone here. ``on_seam(number, process, name)`` is
    told of each.
    """

    def __init__(self, crashes: Sequence[Crash] = (), *, on_seam: OnSeam | None = None) -> None:
        self.count = 0
        self.on_seam = on_seam
        self._fatal = frozenset(crash.at for crash in crashes if not crash.await_)

    def passes(self, process: Process, name: str) -> bool:
        """Count a seam; false where its owner was dead before it or has just died at it."""
        if not process.alive:
            return False
        self.count += 1
        if self.on_seam is not None:
            self.on_seam(self.count, process, name)
        if self.count in self._fatal:
            process.kill()
        return process.alive

    def hit(self, process: Process, name: str) -> None:
        """Pass a seam in plain code. Raises Killed where its owner is dead, or dies."""
        if not self.passes(process, name):
            raise Killed(f"{process.name} at {name}")


class SimFaults(FaultPoints):
    """The fault points of one process, all of them seams."""

    def __init__(self, process: Process, seams: Seams) -> None:
        super().__init__()
        self._process = process
        self._seams = seams

    def hit(self, name: str) -> None:
        """Pass the point ``name``. Raises Killed if this is where the process ends."""
        self._seams.hit(self._process, name)
