"""
The disks of the devices of a town: full, slow, failing, or without power before a write.

Writes take no time unless the disk is slow. What a disk that lies has really kept, it is found to
have when the power is gone; see :class:`.party.Kept`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

from drone_sim.cores.observed import Observed
from drone_sim.cores.party import Unit
from drone_sim.cores.showing import show_disk
from drone_sim.disk import FULL
from drone_sim.scenario.model import Act
from drone_sim.trace import Kind
from orchestrator.protocol import device as dev
from orchestrator.protocol.device import Durable

STANDS_S: Final = 0.004
"""How long a slow write waits before it looks again whether its device still stands still."""


class Disks(Observed):
    """A town whose devices write."""

    def write(self, unit: Unit, writes: Sequence[dev.Write]) -> dev.Event | None:
        """Perform writes at once, or begin to where the disk is slow."""
        if unit.slow_s:
            self.later(unit.slow_s, self._write_slowly, unit, unit.boots, writes, self.now)
            return None
        for write in writes:
            failed = self._write_one(unit, write)
            if not unit.up:
                return None
            if failed is not None:
                return failed
        return dev.Written()

    def _write_slowly(
        self, unit: Unit, boots: int, writes: Sequence[dev.Write], began: float
    ) -> None:
        """Perform the next write of a slow disk; a frozen device waits with it."""
        if unit.executor is None or unit.boots != boots:
            return
        if unit.frozen:
            self.later(unit.slow_s or STANDS_S, self._write_slowly, unit, boots, writes, began)
            return
        outcome = self._write_one(unit, writes[0])
        if not unit.up:
            return
        if outcome is None and writes[1:]:
            self.later(unit.slow_s, self._write_slowly, unit, boots, writes[1:], began)
            return
        unit.executor.written(outcome or dev.Written(took_s=self.now - began))

    def _write_one(self, unit: Unit, write: dev.Write) -> dev.WriteFailed | None:
        """Perform one write; the device may die before it, or after it."""
        if unit.dies_at_write is not None:
            unit.dies_at_write -= 1
            if unit.dies_at_write <= 0 and unit.dies_by is not None:
                act, unit.dies_at_write, unit.dies_by = unit.dies_by, None, None
                self.die_at_write(unit, act)
                return None
        if self.seam(unit):
            return None
        refused = self._refused_by_disk(unit)
        if refused is not None:
            return dev.WriteFailed(reason=refused)
        if isinstance(write, dev.Stage):
            if unit.full and write.digest not in unit.staged:
                return dev.WriteFailed(reason=FULL)
            unit.staged = {**unit.staged, write.digest: write.data}
        else:
            self._store(unit, write.durable)
        self.seam(unit)
        return None

    def _refused_by_disk(self, unit: Unit) -> str | None:
        """Return why the disk fails the next write, if it does."""
        if unit.fails_at_write is not None:
            unit.fails_at_write -= 1
            if unit.fails_at_write <= 0 and unit.fails_by is not None:
                act, unit.fails_at_write, unit.fails_by = unit.fails_by, None, None
                return self.fail_at_write(act)
        return unit.failing

    @abstractmethod
    def die_at_write(self, unit: Unit, act: Act) -> None:
        """Let a device lose power before a write, as an act has said."""

    @abstractmethod
    def fail_at_write(self, act: Act) -> str:
        """Return why one write fails, as an act has said."""

    def _store(self, unit: Unit, durable: Durable) -> None:
        before, unit.disk = unit.disk, durable
        self.checker.device_stored(unit.id, before, durable)
        if self.trace is not None:
            self.note(Kind.WRITE, unit.id, show_disk(durable))
            self.note_state(unit)
