"""Ids of the simulated world."""

from __future__ import annotations

from drone_sim.scenario.chance import stream


class SimIds:
    """See :class:`orchestrator.ports.Ids`: as random as the seed and the ``names``."""

    def __init__(self, seed: int, *names: str | int) -> None:
        self._chance = stream(seed, "ids", *names)

    def new(self) -> str:
        """Return sixteen hexadecimal digits."""
        return f"{self._chance.getrandbits(64):016x}"
