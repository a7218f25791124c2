"""What an engine tells the checker, beside what the product has types for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.protocol.types import DeviceId, Version


class Disturbance(StrEnum):
    """What a link's own quality does to one message; no act of the scenario."""

    LOSS = "loss"
    DUPLICATE = "duplicate"
    SPIKE = "spike"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """
    What ``status``, ``push`` or the console say of one device (I29).

    ``version`` and ``operating`` are what was said, ``known`` is false where "unknown" (or
    "offline") was said. ``heard_at_s`` is the stated time, true time of the story, ``None``
    where none was stated.
    """

    device: DeviceId
    known: bool
    version: Version | None = None
    operating: Version | None = None
    heard_at_s: float | None = None
