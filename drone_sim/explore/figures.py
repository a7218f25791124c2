"""
What many runs were made of: sums, distributions, and what they say about the runs not made.

Distributions are kept as counts in classes that grow by 2 %, so a hundred thousand runs need no
more room than one, and percentiles are right to 2 %; extremes are exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from drone_sim.checker.words import Disturbance
from drone_sim.explore.runs import Ran
from drone_sim.result import Figures, Hold
from drone_sim.scenario.verbs import VERBS

GROWTH: Final = 1.02
SMALLEST_S: Final = 1e-6
"""All that is shorter is in the first class."""

HEALTHY: Final = "healthy"
"""The row of holds without any cause: an ordinary push."""

RUNS_MIN: Final = 30

SURE: Final = 3.0
"""-ln(0.05): after n runs without a violation its rate is below 3/n, at 95 %."""


_ON_PURPOSE: Final = frozenset(verb.value for verb, meaning in VERBS.items() if not meaning.fault)


_FAULTS: Final = frozenset(
    {verb.value for verb, meaning in VERBS.items() if meaning.fault}
    | {disturbance.value for disturbance in Disturbance}
)


@dataclass(slots=True)
class Distribution:
    """Times in s, counted."""

    classes: Counter[int] = field(default_factory=Counter)
    count: int = 0
    worst_s: float = 0.0

    def add(self, time_s: float) -> None:
        """Count one."""
        place = math.log(max(time_s, SMALLEST_S) / SMALLEST_S, GROWTH)
        self.classes[math.floor(place)] += 1
        self.count += 1
        self.worst_s = max(self.worst_s, time_s)

    def percentile_s(self, percent: float) -> float:
        """Return the time that this share of all is not above, to 2 %; 0 if there are none."""
        rank, seen = math.ceil(self.count * percent / 100), 0
        for place in sorted(self.classes):
            seen += self.classes[place]
            if seen >= rank:
                return min(SMALLEST_S * GROWTH ** (place + 1), self.worst_s)
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """The hold that is farthest out in some way, and the run that it was in."""

    hold: Hold
    label: str

    @property
    def share(self) -> float:
        """How much of its budget it used: 1 is all."""
        return _share(self.hold)


@dataclass(slots=True)
class Spread:
    """Some holds: how long they lasted, and the longest of them with its own budget."""

    lasted: Distribution = field(default_factory=Distribution)
    longest: Extreme | None = None

    def add(self, hold: Hold, label: str) -> None:
        """Count one."""
        self.lasted.add(hold.lasted_s)
        if self.longest is None or hold.lasted_s > self.longest.hold.lasted_s:
            self.longest = Extreme(hold=hold, label=label)


@dataclass(slots=True)
class Holds:
    """
    The holds that one cause had a part in: ``alone``, or ``among`` others.

    ``closest`` is the one that used most of its own budget, which differs from hold to hold: with
    the timing that the seed has drawn, and with what else was in force.
    """

    cause: str
    alone: Spread = field(default_factory=Spread)
    among: Spread = field(default_factory=Spread)
    closest: Extreme | None = None

    def add(self, hold: Hold, label: str, *, alone: bool) -> None:
        """Count one."""
        (self.alone if alone else self.among).add(hold, label)
        if self.closest is None or _share(hold) > self.closest.share:
            self.closest = Extreme(hold=hold, label=label)

    @property
    def worst_s(self) -> float:
        """How long the longest of them lasted."""
        return max(self.alone.lasted.worst_s, self.among.lasted.worst_s)


def _share(hold: Hold) -> float:
    return hold.lasted_s / hold.budget_s if hold.budget_s > 0 else 0.0


@dataclass(slots=True)
class Tally:
    """The sums over all runs that were added; ``cpu_s`` is what they took to compute."""

    runs: int = 0
    failed: int = 0
    cpu_s: float = 0.0
    virtual_s: float = 0.0
    steps: int = 0
    messages: int = 0
    seams: int = 0
    awaits: int = 0
    committed: int = 0
    aborted: int = 0
    forced: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    goals: Counter[str] = field(default_factory=Counter)
    held: Distribution = field(default_factory=Distribution)
    holds: dict[str, Holds] = field(default_factory=dict)
    skews: Distribution = field(default_factory=Distribution)

    def add(self, ran: Ran) -> None:
        """Add one run."""
        self.runs += 1
        self.failed += not ran.held
        self.cpu_s += ran.took_s
        self.goals.update(ran.goals)
        self._add_figures(ran.figures)
        for hold in ran.figures.holds:
            self.held.add(hold.lasted_s)
            causes = causes_of(hold)
            for cause in causes:
                row = self.holds.setdefault(cause, Holds(cause=cause))
                row.add(hold, ran.case.label, alone=len(causes) == 1)

    def _add_figures(self, figures: Figures) -> None:
        self.virtual_s += figures.virtual_s
        self.steps += figures.steps
        self.messages += figures.messages
        self.seams += figures.seams
        self.awaits += figures.awaits
        self.committed += figures.committed
        self.aborted += figures.aborted
        self.forced += figures.forced
        self.acts.update(figures.acts)
        for skew_s in figures.skews_s:
            self.skews.add(skew_s)

    @property
    def faults(self) -> int:
        """How many faults there were, random losses and repetitions among them."""
        return sum(count for name, count in self.acts.items() if is_fault(name))

    @property
    def bound(self) -> float | None:
        """Return what the rate of violations per run is below, at 95 %; none if there was one."""
        return rate_bound(self.runs) if not self.failed else None

    @property
    def runs_per_core_s(self) -> float:
        """Runs that one core makes in a second of computing."""
        return self.runs / self.cpu_s if self.cpu_s else 0.0

    @property
    def speed_up(self) -> float:
        """Virtual seconds that one core makes in a second of computing."""
        return self.virtual_s / self.cpu_s if self.cpu_s else 0.0

    def rows(self) -> tuple[Holds, ...]:
        """Return the holds by cause: the healthy first, then by the longest that it had alone."""
        return tuple(sorted(self.holds.values(), key=_place))


def _place(row: Holds) -> tuple[bool, float, float, str]:
    alone_s, among_s = row.alone.lasted.worst_s, row.among.lasted.worst_s
    return (row.cause != HEALTHY, -alone_s, -among_s, row.cause)


def causes_of(hold: Hold) -> tuple[str, ...]:
    """
    Return what a hold is counted under: its faults, or where there are none what else caused it.

    What the checker names beside faults are states that only somebody can end, such as nobody who
    answers; with a fault they are its consequence.
    """
    faults = tuple(cause for cause in hold.causes if cause in _FAULTS)
    return faults or hold.causes or (HEALTHY,)


def is_fault(name: str) -> bool:
    """Whether an act of this name, or what a link does by itself, is a fault."""
    return name not in _ON_PURPOSE


def rate_bound(runs: int) -> float | None:
    """
    Return the rate of violations per run that no violation in so many runs excludes, at 95 %.

    The rule of three: (1 - p)^n = 0.05 at p = 3/n for large n. Below 30 runs it says too little.
    """
    return SURE / runs if runs >= RUNS_MIN else None


def tallied(outcomes: Iterable[Ran]) -> Tally:
    """Return the sums over some runs."""
    tally = Tally()
    for ran in outcomes:
        tally.add(ran)
    return tally
