"""
Looks for the smallest scenario in which the same invariant does not hold.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input",
2002): parts are dropped in halves, then in quarters, then singly, and what still fails is kept.
Every candidate is played; their number is bounded, so a shrink that was cut short is as valid as
any, only larger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from drone_sim.explore import ends, runs, simpler
from drone_sim.explore.runs import BROKEN, Case, Play, Told
from drone_sim.result import Crash, Result, Speed
from drone_sim.scenario.model import Scenario
from orchestrator.protocol.invariants import Violation

T = TypeVar("T")

RUNS_MAX: Final = {Speed.CORES: 600, Speed.SHELLS: 150}
"""Candidates that are played, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """
    The smallest case that was found, and what it came to; ``runs`` candidates were played.

    ``complete`` is false where there was more to try.
    """

    case: Case
    result: Result
    runs: int
    complete: bool


_ERROR: Final = re.compile(r"[A-Z]\w*(?:Error|Exception|Violation|Deadlock)\b")


class _Enough(Exception):  # noqa: N818 - no error: the bound is reached
    """No more candidates may be played."""


def shrink(
    case: Case,
    result: Result,
    *,
    playing: Play = runs.play,
    runs_max: int | None = None,
    on_run: Callable[[int, Scenario], None] | None = None,
) -> Shrunk:
    """
    Shrink a case whose ``result`` has violations.

    ``on_run`` is told of each candidate: its number, and the smallest scenario so far. Ctrl-C
    ends it with that one.
    """
    limit = RUNS_MAX[case.speed] if runs_max is None else runs_max
    search = _Search(case, result, playing, limit, on_run)
    try:
        while search.once():
            pass
    except (_Enough, KeyboardInterrupt):
        return search.found(complete=False)
    return search.found(complete=True)


def can_shrink(violations: Sequence[Violation]) -> bool:
    """
    Whether it makes sense: not for a story that ended otherwise than its teller expected.

    Nor for a run without an end, of which each candidate would take as long.
    """
    return not any(one.id == ends.UNMET or one.text.startswith(runs.NO_END) for one in violations)


def kind_of(violation: Violation) -> str:
    """Return what must stay the same: the invariant, or what kind of error a program raised."""
    error = _ERROR.search(violation.text) if violation.id == BROKEN else None
    return violation.id if error is None else f"{violation.id}: {error[0]}"


class _Search:
    """The best case so far, and how to try a smaller one."""

    def __init__(
        self,
        case: Case,
        result: Result,
        playing: Play,
        runs_max: int,
        on_run: Callable[[int, Scenario], None] | None,
    ) -> None:
        self._kinds = {kind_of(violation) for violation in result.violations}
        bare = replace(case, traced=False, expected=None)
        self._case = replace(bare, source=Told(scenario=result.scenario))
        self._result = result
        self._playing = playing
        self._runs_max = runs_max
        self._on_run = on_run
        self._runs = 0
        self._tried: set[tuple[Scenario, tuple[Crash, ...]]] = {self._key(result.scenario)}

    @property
    def _best(self) -> Scenario:
        return self._result.scenario

    def found(self, *, complete: bool) -> Shrunk:
        return Shrunk(case=self._case, result=self._result, runs=self._runs, complete=complete)

    def once(self) -> bool:
        """Try everything once; whether anything became smaller."""
        before = self._key(self._best)
        self._try(simpler.cut_off(self._best, self._result.violated_at_s))
        self._fewer(self._best.acts, lambda acts: simpler.with_acts(self._best, acts))
        self._fewer_crashes()
        self._fewer(
            self._best.devices, lambda devices: simpler.with_devices(self._best, devices), least=1
        )
        for way in (
            simpler.fewer_targets,
            simpler.plainer,
            simpler.shorter,
            simpler.rounder,
        ):
            self._first_that_fails(way)
        return before != self._key(self._best)

    # --- trying ---------------------------------------------------------------------------------

    def _key(
        self, scenario: Scenario, crashes: tuple[Crash, ...] | None = None
    ) -> tuple[Scenario, tuple[Crash, ...]]:
        return scenario, self._case.crashes if crashes is None else crashes

    def _try(self, scenario: Scenario, crashes: tuple[Crash, ...] | None = None) -> bool:
        """Play a candidate, unless it was played; keep it if the same thing goes wrong."""
        key = self._key(scenario, crashes)
        if key in self._tried:
            return False
        if self._runs >= self._runs_max:
            raise _Enough
        self._tried.add(key)
        self._runs += 1
        candidate = replace(self._case, source=Told(scenario=scenario), crashes=key[1])
        result = self._playing(candidate)
        if fails := not self._kinds.isdisjoint(map(kind_of, result.violations)):
            self._case, self._result = candidate, replace(result, trace=None)
        if self._on_run is not None:
            self._on_run(self._runs, self._best)
        return fails

    def _fewer_crashes(self) -> None:
        for crash in self._case.crashes:
            left = tuple(one for one in self._case.crashes if one != crash)
            self._try(self._best, left)

    def _first_that_fails(self, way: Callable[[Scenario], Iterable[Scenario]]) -> None:
        """Take the first candidate that fails, and begin again from it, until none does."""
        while any(self._try(candidate) for candidate in way(self._best)):
            pass

    def _fewer(
        self, items: Sequence[T], made: Callable[[Sequence[T]], Scenario], least: int = 0
    ) -> None:
        """Drop halves, then quarters, and so on to single items."""
        left, parts = list(items), 2
        while len(left) > least and parts <= 2 * len(left):
            size = max(1, -(-len(left) // parts))
            smaller = self._without_one_part(left, made, size, least)
            if smaller is None:
                if size == 1:
                    return
                parts *= 2
            else:
                left, parts = smaller, max(2, parts - 1)

    def _without_one_part(
        self, items: list[T], made: Callable[[Sequence[T]], Scenario], size: int, least: int
    ) -> list[T] | None:
        """Return what is left after dropping the first part that can go; later parts first."""
        for start in reversed(range(0, len(items), size)):
            rest = items[:start] + items[start + size :]
            if len(rest) >= least and self._try(made(rest)):
                return rest
        return None
