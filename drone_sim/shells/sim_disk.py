"""The disk of a simulated device, and the time that it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from drone_sim.disk import FULL, Choose, CrashDisk, PowerLost, nothing_survives
from drone_sim.scenario.chance import stream
from orchestrator.agent.disk import PRIVATE, NewFile
from orchestrator.agent.slots import BLOBS
from orchestrator.ports import DiskError

T = TypeVar("T")

TAKES_S: Final = (0.0002, 0.002)
"""How long the work on a disk takes: the shortest, the longest."""


class SimDisk(CrashDisk):
    """
    A disk whose calls are seams of the run.

    ``pass_seam(name)`` is called before each change. ``died`` is called where the disk itself
    loses power at one (:attr:`crash_at`), ``failed`` where one has failed (:attr:`fail_at`).
    ``full`` leaves no room for a configuration; the record can still be written, so
    :meth:`free_bytes` does not know of it.
    """

    def __init__(
        self,
        *,
        pass_seam: Callable[[str], None],
        died: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        super().__init__()
        self.full = False
        self._pass_seam = pass_seam
        self._died = died
        self._failed = failed

    def seam(self, what: str, path: Path) -> None:
        """Pass a seam of the run, and then one of this disk."""
        self._require_power()
        self._pass_seam(f"disk:{what}")
        self.trace.clear()
        fails = self.seams == self.fail_at
        try:
            super().seam(what, path)
        except PowerLost:
            self._died()
            raise
        except DiskError:
            if fails:
                self.fail_at = None
                self._failed()
            raise

    def reboot(self, choose: Choose = nothing_survives) -> None:
        """Come back after a power loss; what is to happen at a later change still will."""
        armed = self.crash_at, self.fail_at
        super().reboot(choose)
        self.crash_at, self.fail_at = (
            at if at is None or at >= self.seams else None for at in armed
        )

    def create(self, path: Path, mode: int = PRIVATE) -> NewFile:
        """Make an empty file; no room for a configuration where the disk is full."""
        if self.full and path.parent.name == BLOBS:
            raise DiskError(f"{path}: can't be made: {FULL}")
        return super().create(path, mode)


class SimOffload:
    """
    See :class:`orchestrator.agent.lane.Offload`: does blocking work inline, after a while.

    ``slow_s`` is added to each; a part of it passes before the work is done, the rest after it.
    ``done`` is called as soon as the work is, before anybody hears of it.
    """

    def __init__(self, seed: int, device: str, done: Callable[[], None]) -> None:
        self.slow_s = 0.0
        self._chance = stream(seed, "disk", device)
        self._done = done

    async def __call__(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; raise what it raises."""
        takes_s = self._chance.uniform(*TAKES_S) + self.slow_s
        before_s = takes_s * self._chance.random()
        await asyncio.sleep(before_s)
        try:
            return work()
        finally:
            self._done()
            await asyncio.sleep(takes_s - before_s)
