"""
Whose clock somebody has touched: only such a clock may be another than its device believes.

A device may be wrong about the orchestrator's time where its own clock was put wrong, or that of
an orchestrator that it has heard. Everybody else's bound must hold: where it does not, the product
has measured wrongly, and nothing excuses that.

What was touched stays so for a device as long as an answer may count that was asked for before:
to a HELLO that was sent while a clock was wrong. Times are true times of the run, in s.
"""

from __future__ import annotations

import math
from typing import Final

from drone_sim.shells.clocks import PPM
from orchestrator.protocol.clock import DRIFT_MAX
from orchestrator.protocol.types import DeviceId

ORCHESTRATORS: Final = "orchestrators"
"""Stands for all of them: whom a device has heard nobody knows for certain."""


class Touched:
    """Keeps who has a wrong clock, and until when those had one whose clock is right again."""

    def __init__(self) -> None:
        self._wrong: dict[str, dict[object, None]] = {}
        self._until_s: dict[str, float] = {}

    def began(self, who: str, key: object) -> None:
        """Take that a clock is wrong from now on; ``key`` is what is wrong with it."""
        self._wrong.setdefault(who, {})[key] = None

    def ended(self, who: str, key: object, at_s: float) -> None:
        """Take that this is over."""
        self._wrong.get(who, {}).pop(key, None)
        self._until_s[who] = at_s

    def excuses(self, device: DeviceId, asked_s: float) -> bool:
        """Return whether a device may be wrong whose last HELLO was sent at ``asked_s``."""
        return any(self._touched(who, asked_s) for who in (device, ORCHESTRATORS))

    def _touched(self, who: str, asked_s: float) -> bool:
        return bool(self._wrong.get(who)) or self._until_s.get(who, -math.inf) >= asked_s


def is_crystal(drift_ppm: float) -> bool:
    """Return whether a clock runs as evenly as the bound takes every clock to do."""
    return abs(drift_ppm) * PPM <= DRIFT_MAX
