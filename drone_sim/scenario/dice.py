"""
One stream of chance with the draws that stories are made of.

Everything comes from ``random()``, whose sequence every supported Python promises to keep, and is
rounded: a time of a story can be written down and read back as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from drone_sim.scenario.chance import stream

T = TypeVar("T")

DIGITS: Final = 4
"""Digits after the point of what is drawn: times to 0.1 ms."""


class Dice:
    """The dice of one aspect of one seed: ``Dice(7, "fleet")``."""

    def __init__(self, seed: int, *names: str | int) -> None:
        self._random = stream(seed, "swarm", *names)

    def chance(self, share: float) -> bool:
        """Return true in this share of all cases."""
        return self._random.random() < share

    def number(self, least: float, most: float) -> float:
        """Return a number of a range, each as likely."""
        return round(least + (most - least) * self._random.random(), DIGITS)

    def span(self, least: float, most: float) -> float:
        """Return a number of a range in which each order of magnitude is as likely."""
        return round(float(least * (most / least) ** self._random.random()), DIGITS)

    def lasting(self, least: float, most: float) -> float | None:
        """Return how long something lasts: mostly a while, sometimes to the end."""
        return self.span(least, most) if self.chance(0.9) else None

    def count(self, least: int, most: int) -> int:
        """Return a whole number of a range, ends included."""
        return least + int((most - least + 1) * self._random.random())

    def one(self, items: Sequence[T]) -> T:
        """Return one of several."""
        return items[self.count(0, len(items) - 1)]

    def some(self, items: Sequence[T], least: int, most: int) -> tuple[T, ...]:
        """Return so many of several, in their order."""
        left = list(range(len(items)))
        wanted = min(self.count(least, most), len(items))
        taken = [left.pop(self.count(0, len(left) - 1)) for _ in range(wanted)]
        return tuple(items[index] for index in sorted(taken))

    def weighted(self, items: Sequence[tuple[T, float]]) -> T:
        """Return one of several, each as often as its weight says."""
        at = sum(weight for _, weight in items) * self._random.random()
        for item, weight in items:
            at -= weight
            if at < 0:
                return item
        return items[-1][0]
