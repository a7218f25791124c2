"""How well a vehicle aims: its error over the last seconds, and what a person should know."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import sqrt
from typing import Final

from drone_sim.flight.gimbals import BLOCK_S, Seen
from orchestrator.aim.criteria import Criteria
from orchestrator.staging.state import FlightPhase

WINDOW_S: Final = 5.0
LEAST_S: Final = 1.0
"""A configuration that has aimed for less is not judged yet, and so not healthy."""

ERROR_RMS_MAX_DEG: Final = Criteria().base_leak_max_deg / sqrt(2.0)
"""The rms of a sine with the peak that the judge lets through of a base that sways."""

SATURATED_MAX: Final = 0.05
"""Share of the time: a motor at its limit has nothing left against a gust."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """
    How a vehicle is. ``why`` says what is wrong, and is empty where it is ``healthy``.

    ``tracking_error_rms_deg`` is that of the worst axis over the last :data:`WINDOW_S`: from what
    it tracks, once the reference has caught it, else from the reference. ``None``: there is
    nothing to measure. ``saturated_share`` is that of the worst axis, 0 to 1.
    """

    healthy: bool
    tracking_error_rms_deg: float | None
    saturated_share: float
    battery_pct: float | None
    phase: FlightPhase
    why: str


class Window:
    """The last seconds of one axis."""

    def __init__(self) -> None:
        self._blocks: deque[Seen] = deque(maxlen=round(WINDOW_S / BLOCK_S))

    def add(self, seen: Seen) -> None:
        """Take note of a block."""
        self._blocks.append(seen)

    @property
    def lasts_s(self) -> float:
        """How much it has seen."""
        return len(self._blocks) * BLOCK_S

    @property
    def error_rms_deg(self) -> float:
        """The error; not a number of anything before the first block."""
        return sqrt(sum(seen.error_square_deg2 for seen in self._blocks) / self._samples)

    @property
    def saturated_share(self) -> float:
        """How much of the time the motor was told its limit."""
        return sum(seen.saturated for seen in self._blocks) / self._samples

    @property
    def _samples(self) -> int:
        return max(1, sum(seen.samples for seen in self._blocks))


def aim_faults(axis: str, window: Window) -> list[str]:
    """Return what is wrong with how an axis aims, with the numbers."""
    if window.lasts_s < LEAST_S:
        return [f"{axis} has aimed for {window.lasts_s:.2g} s < {LEAST_S:g} s"]
    found: list[str] = []
    error, share = window.error_rms_deg, window.saturated_share
    if error > ERROR_RMS_MAX_DEG:
        found.append(f"{axis} error {error:.3g}° rms > {ERROR_RMS_MAX_DEG:.2g}° rms")
    if share > SATURATED_MAX:
        most = f"{100 * SATURATED_MAX:g} % of the time"
        found.append(f"{axis} motor at its limit {100 * share:.2g} % > {most}")
    return found
