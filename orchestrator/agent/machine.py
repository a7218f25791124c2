"""The clock of this machine, as a device reads it."""

from __future__ import annotations

import asyncio
import time


class DeviceClock:
    """
    Time on a device; see :class:`orchestrator.ports.Clock`.

    Both readings are CLOCK_BOOTTIME, which goes on while the machine sleeps: a device that was
    suspended must know that its knowledge of the orchestrator's clock has aged.
    """

    def now(self) -> float:
        """Return the monotonic reading, in s."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def monotonic(self) -> float:
        """Return the same."""
        return self.now()

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)
