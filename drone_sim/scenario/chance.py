"""
Seeded chance: one stream for each component, so that a draw more in one shifts no other.

Only :class:`random.Random` seeded with text is used, whose sequence is the same on every supported
Python and for every PYTHONHASHSEED (it is seeded with the SHA-512 of the text).
"""

from __future__ import annotations

import random


def stream(seed: int, *names: str | int) -> random.Random:
    """Return the stream of one component: ``stream(7, "link", "d-01")``."""
    return random.Random("/".join(str(part) for part in (seed, *names)))
