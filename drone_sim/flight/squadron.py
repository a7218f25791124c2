"""Time, for many vehicles at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drone_sim.flight.gimbals import BLOCK_S, Drive, Gimbals, Key
from drone_sim.flight.vehicle import Vehicle

ROUNDING_S: Final = 1e-9


class Squadron:
    """
    Vehicles that fly together; each begins when it is added.

    ``now_s`` is how much time has passed, a whole number of blocks.
    """

    def __init__(self, vehicles: Iterable[Vehicle] = ()) -> None:
        self.vehicles: list[Vehicle] = list(vehicles)
        self._gimbals = Gimbals()
        self._block = 0

    @property
    def now_s(self) -> float:
        """How much time has passed."""
        return self._block * BLOCK_S

    def add(self, vehicle: Vehicle) -> None:
        """Let a vehicle fly from now on."""
        self.vehicles.append(vehicle)

    def go_to(self, at_s: float) -> None:
        """Let all whole blocks pass that end at ``at_s`` or before."""
        while (self._block + 1) * BLOCK_S <= at_s + ROUNDING_S:
            self._pass()

    def _pass(self) -> None:
        drives: dict[Key, Drive] = {}
        for vehicle in self.vehicles:
            drives.update(vehicle.begin(self._gimbals))
        seen = self._gimbals.run(self._block, drives)
        for vehicle in self.vehicles:
            vehicle.end(seen)
        self._block += 1
