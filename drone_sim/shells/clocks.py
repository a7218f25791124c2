"""
The clocks of the simulated world: what a process reads of true time, which is ``loop.time()``.

The two are given to the unchanged shells as :class:`orchestrator.ports.Clock`.
"""

from __future__ import annotations

import asyncio
from typing import Final

UTC_AT_START_S: Final = 1_700_000_000.0
"""UTC at true time 0, in s. A float of that size resolves a quarter of a microsecond."""

PPM: Final = 1e-6


def true_s() -> float:
    """Return true time in s since the start of the run."""
    return asyncio.get_running_loop().time()


class Wayward:
    """What goes wrong with a clock, each thing under a ``key`` by which it is undone."""

    def __init__(self) -> None:
        self._jumps: dict[object, float] = {}
        self._drifts: dict[object, tuple[float, float]] = {}

    @property
    def jumped_s(self) -> float:
        """How much it has jumped ahead."""
        return sum(self._jumps.values())

    @property
    def gained_s(self) -> float:
        """How much it has gained by running too fast."""
        true = true_s()
        return sum((true - since) * ppm * PPM for since, ppm in self._drifts.values())

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


class MachineClock:
    """
    The clock of an orchestrator's process.

    ``now`` is UTC: true time plus ``offset_s``, read once as the real one does, so that a step of
    the machine's wall clock changes only the clocks of later processes. ``monotonic`` is the time
    since the machine was booted at true time ``booted_s``. All in s.
    """

    def __init__(self, *, offset_s: float = 0.0, booted_s: float = 0.0) -> None:
        self._offset_s = offset_s
        self._booted_s = booted_s

    def now(self) -> float:
        """Return UTC in s, as this process knows it."""
        return UTC_AT_START_S + true_s() + self._offset_s

    def monotonic(self) -> float:
        """Return the time since boot in s."""
        return true_s() - self._booted_s

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)


class DeviceClock:
    """
    The clock of a device: ``offset_s`` less than true time, and drifting.

    With ``drift_ppm`` it gains so many microseconds in a second. A device that is booted anew gets
    a new one. All readings are in s; ``monotonic`` is the same as ``now``, as on a real device.
    """

    def __init__(self, *, offset_s: float = 0.0, drift_ppm: float = 0.0) -> None:
        self._drift_ppm = drift_ppm
        self._since_s = 0.0
        self._read_then_s = -offset_s

    def now(self) -> float:
        """Return the reading in s."""
        passed_s = true_s() - self._since_s
        return self._read_then_s + passed_s * (1.0 + self._drift_ppm * PPM)

    def monotonic(self) -> float:
        """Return the same."""
        return self.now()

    @property
    def error_s(self) -> float:
        """How much it reads more than true time, in s: the truth, for the checker."""
        return self.now() - true_s()

    def step(self, by_s: float) -> None:
        """Jump by ``by_s``, forward or back: no real boot clock does, a broken one may."""
        self._read_then_s += by_s

    def set_drift(self, drift_ppm: float) -> None:
        """Gain ``drift_ppm`` from now on; what was gained so far stays."""
        self._read_then_s, self._since_s = self.now(), true_s()
        self._drift_ppm = drift_ppm

    async def sleep(self, delay_s: float) -> None:
        """Wait; a timer's drift is far below what anybody measures by it."""
        await asyncio.sleep(delay_s)
