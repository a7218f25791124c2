"""Holding times by the fault that caused them, as numbers: what the plot and the table show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drone_sim.explore.figures import HEALTHY, causes_of
from drone_sim.result import Hold, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """
    All holds that a fault had a part in, in s.

    ``alone`` are those that it caused by itself, ``among`` those where other faults were in force
    too. Each hold has a budget of its own, that of the faults which caused it.
    """

    name: str
    alone: tuple[Hold, ...]
    among: tuple[Hold, ...]

    @property
    def holds(self) -> tuple[Hold, ...]:
        """All of them, those that it caused alone first."""
        return self.alone + self.among

    @property
    def closest(self) -> Hold | None:
        """The one that used up most of its budget; ``None`` where no hold has a budget."""
        bounded = [hold for hold in self.holds if hold.budget_s > 0]
        return max(bounded, key=used, default=None)

    @property
    def budget_s(self) -> float:
        """The budget of the longest that it caused alone, or else of all: where the line is."""
        longest = worst(self.alone) or worst(self.among)
        return 0.0 if longest is None else longest.budget_s


def worst(holds: Sequence[Hold]) -> Hold | None:
    """Return the longest hold, if there is one."""
    return max(holds, key=lambda hold: hold.lasted_s, default=None)


def used(hold: Hold) -> float:
    """Return which share of its budget a hold has used up."""
    return hold.lasted_s / hold.budget_s if hold.budget_s > 0 else 0.0


def causes(results: Iterable[Result]) -> tuple[Cause, ...]:
    """Return all causes: the healthy push first, then by the longest that it caused alone."""
    alone: dict[str, list[Hold]] = {}
    among: dict[str, list[Hold]] = {}
    for hold in (hold for result in results for hold in result.figures.holds):
        names = causes_of(hold)
        kept = alone if len(names) == 1 else among
        for name in names:
            kept.setdefault(name, []).append(hold)
    found = [
        Cause(name=name, alone=tuple(alone.get(name, ())), among=tuple(among.get(name, ())))
        for name in sorted({*alone, *among})
    ]
    return tuple(sorted(found, key=_place))


def _place(cause: Cause) -> tuple[bool, float, float]:
    alone_s = max((hold.lasted_s for hold in cause.alone), default=0.0)
    among_s = max((hold.lasted_s for hold in cause.among), default=0.0)
    return cause.name != HEALTHY, -alone_s, -among_s


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least value that at least that share of all are not above (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def skews(results: Iterable[Result]) -> tuple[float, ...]:
    """Return the activation skew of every committed version, in s."""
    return tuple(skew for result in results for skew in result.figures.skews_s)
