"""The phases of a coordinator, and what is due in each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where the coordinator is; derived from the fold, the goal and the epoch."""

    ADOPTING = "adopting"
    JOINING = "joining"
    PREPARING = "preparing"
    DRIVING = "driving"
    RELEASING = "releasing"
    SETTLING = "settling"
    DONE = "done"
    FENCED = "fenced"
    UNKNOWN = "unknown"
    STOPPED = "stopped"
    UNHEARD = "unheard"


DUE: Final[Mapping[Phase, str]] = {
    Phase.ADOPTING: "adopt",
    Phase.JOINING: "join",
    Phase.PREPARING: "prepare",
    Phase.DRIVING: "drive",
    Phase.RELEASING: "release",
    Phase.SETTLING: "settle",
    Phase.DONE: "rest",
    Phase.FENCED: "rest",
    Phase.UNKNOWN: "rest",
    Phase.STOPPED: "rest",
    Phase.UNHEARD: "rest",
}
"""Which method does what is due in each phase."""

FINAL: Final = frozenset({Phase.DONE, Phase.FENCED, Phase.UNKNOWN, Phase.STOPPED, Phase.UNHEARD})
"""The phases after which a coordinator does nothing any more."""
