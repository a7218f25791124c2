"""The two clocks of a simulated device: the one that its core lives by, and the steady one."""

from __future__ import annotations

import asyncio

from drone_sim.shells.clocks import DeviceClock, Wayward, true_s


class SimDeviceClock(Wayward):
    """
    See :class:`orchestrator.ports.Clock`. What goes wrong with it is wrong with ``now`` alone.

    ``monotonic`` measures how long something takes, and goes on steadily.
    """

    def __init__(self, *, offset_s: float, drift_ppm: float) -> None:
        super().__init__()
        self._steady = DeviceClock(offset_s=offset_s, drift_ppm=drift_ppm)

    def now(self) -> float:
        """Return the reading in s."""
        return self._steady.now() + self.jumped_s + self.gained_s

    def monotonic(self) -> float:
        """Return a reading that is never wrong."""
        return self._steady.now()

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)

    def restart(self) -> None:
        """Begin to count anew, as at a boot; nothing is wrong with it but how fast it runs."""
        self._steady.step(-self._steady.now())
        self._jumps.clear()
        true = true_s()
        self._drifts = {key: (true, ppm) for key, (_, ppm) in self._drifts.items()}

    @property
    def runs_wild(self) -> bool:
        """Whether it runs at another speed than it does by itself."""
        return bool(self._drifts)
