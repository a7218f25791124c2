"""The two clocks of a simulated device: the one that its core lives by, and the steady one."""

from __future__ import annotations

import asyncio

from drone_sim.shells.clocks import PPM, DeviceClock, true_s


class SimDeviceClock:
    """
    See :class:`orchestrator.ports.Clock`. What goes wrong with it is wrong with ``now`` alone.

    ``monotonic`` measures how long something takes, and goes on steadily. Each thing that goes
    wrong has a ``key`` by which it is undone.
    """

    def __init__(self, *, offset_s: float, drift_ppm: float) -> None:
        self._steady = DeviceClock(offset_s=offset_s, drift_ppm=drift_ppm)
        self._jumps: dict[object, float] = {}
        self._drifts: dict[object, tuple[float, float]] = {}

    def now(self) -> float:
        """Return the reading in s."""
        true = true_s()
        gained_s = sum((true - since) * ppm * PPM for since, ppm in self._drifts.values())
        return self._steady.now() + sum(self._jumps.values()) + gained_s

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

    def step(self, key: object, by_s: float) -> None:
        """Jump."""
        self._jumps[key] = by_s

    def drift(self, key: object, ppm: float) -> None:
        """Run too fast from now on, beside what it always does."""
        self._drifts[key] = (true_s(), ppm)

    def set_right(self, key: object) -> None:
        """Undo what went wrong under ``key``."""
        self._jumps.pop(key, None)
        self._drifts.pop(key, None)

    @property
    def runs_wild(self) -> bool:
        """Whether it runs at another speed than it does by itself."""
        return bool(self._drifts)
