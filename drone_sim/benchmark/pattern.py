"""
The messages of an undisturbed push: what the floor repeats, and what the counts must show.

=========  ==========================================  =======================  =================
phase      messages                                    published                delivered
=========  ==========================================  =======================  =================
join       FENCE to all; HELLO from each;              1 + N + N                N + N + N
           WELCOME to each
prepare    PREPARE to all; the plan and the            1 + 2 + N                N + 2 N + N
           configuration, retained, which each
           device subscribes to, one after the other;
           VOTE from each
tell       DECISION to all, retained; REPORT from      1 + N                    N + N
           each that it is recorded
activate   REPORT from each that it operates           N                        N
end        the three retained topics are cleared;      3                        N
           who still listens to DECISIONs gets one
           more empty message
=========  ==========================================  =======================  =================

Mosquitto leaves retained messages out of what it calls received (seen in 2.0.11), so it counts
six less than are published; product and floor are counted alike. A push has N deliveries more,
before its first phase: the retained presence of each device, as the orchestrator connects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FROM_EACH: Final[Mapping[str, int]] = {"hello": 1, "vote": 1, "report": 2}
"""How many messages of each kind a device sends."""

TO_EACH: Final[Mapping[str, int]] = {
    "fence": 1,
    "welcome": 1,
    "prepare": 1,
    "blob": 2,
    "decision": 1,
}
"""... and receives; the emptied DECISION is not among them, for no device is told of it."""

_DIRECTED: Final = frozenset({"welcome"})
_PUBLISHED_ONCE: Final = 5
"""FENCE, PREPARE, the plan, the configuration, DECISION."""

_CLEARED: Final = 3

BYTES: Final[Mapping[str, int]] = {
    "fence": 80,
    "hello": 560,
    "welcome": 400,
    "prepare": 560,
    "plan": 2000,
    "config": 2000,
    "vote": 300,
    "decision": 260,
    "report": 540,
}
"""Payload sizes, where no push was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """How many PUBLISH packets a broker took in, and how many it sent out."""

    published: int
    delivered: int


def undisturbed(devices: int) -> Messages:
    """Return what a push without a single repetition costs."""
    directed = devices * sum(TO_EACH[kind] for kind in _DIRECTED)
    from_devices = devices * sum(FROM_EACH.values())
    return Messages(
        published=from_devices + directed + _PUBLISHED_ONCE + _CLEARED,
        delivered=from_devices + devices * (sum(TO_EACH.values()) + 1),
    )
