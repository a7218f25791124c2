"""
Crash points: a run is played once to count them, then once for each, with a crash there.

That is enumeration, not sampling: where every point of a run was tried, no point of it is left.
Pairs are enumerated the same way: the run with the first crash says how many points are left for
the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from drone_sim.explore.pool import Pool
from drone_sim.explore.runs import Case, Ran
from drone_sim.result import Crash
from orchestrator.errors import Exit, OperatingError

PAIRS_MAX: Final = 250_000
"""More runs than this nobody waits for: a shorter scenario is the answer."""

_POINT: Final = re.compile(r"(a?)([1-9][0-9]{0,8})")


class Every(StrEnum):
    """Which crash points are enumerated: seams of I/O, callbacks, or pairs of seams."""

    EACH = "each"
    AWAITS = "awaits"
    PAIRS = "pairs"


def parse(text: str) -> Every | tuple[Crash, ...]:
    """
    Read what ``--crash`` takes: ``each``, ``awaits``, ``pairs``, or points such as ``5,a9``.

    Raises OperatingError (wrong use) for anything else.
    """
    if text in tuple(Every):
        return Every(text)
    found = [_POINT.fullmatch(part.strip()) for part in text.split(",")]
    points = [Crash(at=int(one[2]), await_=bool(one[1])) for one in found if one is not None]
    if len(points) != len(found):
        raise OperatingError(
            f"--crash {text!r} is neither each, awaits, pairs nor the numbers of crash points",
            exit_code=Exit.USAGE,
            next_command="--crash each, or such as --crash 5 (a seam), a9 (a callback), 5,8",
        )
    return tuple(points)


@dataclass(slots=True)
class Enumeration:
    """
    Plays a case without a crash, then with a crash at every point. Use :meth:`run`, once.

    ``total`` is how many runs there will be, as far as that is known: the pairs become known
    while the first crashes are played.
    """

    case: Case
    every: Every
    total: int = 1

    def run(self, pool: Pool, *, keep_going: bool = False) -> Iterator[Ran]:
        """
        Yield the run without a crash, then the others in the order of their points.

        Stops at the first that did not hold; ``keep_going`` goes on after it, unless it was the
        one without a crash. Raises OperatingError where there are too many pairs.
        """
        base = next(pool.run([self.case]), None)
        if base is None:
            return
        yield base
        if not base.held:
            return
        singles = self._singles(base)
        self.total += len(singles)
        lengths: list[tuple[Case, int]] = []
        for ran in pool.run(singles, keep_going=keep_going):
            yield ran
            if not (ran.held or keep_going):
                return
            lengths.append((ran.case, ran.figures.seams))
        if self.every is Every.PAIRS:
            self._count_pairs(lengths)
            yield from pool.run(_pairs(lengths), keep_going=keep_going)

    def _singles(self, base: Ran) -> list[Case]:
        at_awaits = self.every is Every.AWAITS
        count = base.figures.awaits if at_awaits else base.figures.seams
        points = (Crash(at=at, await_=at_awaits) for at in range(1, count + 1))
        return [replace(self.case, crashes=(point,)) for point in points]

    def _count_pairs(self, lengths: list[tuple[Case, int]]) -> None:
        pairs = sum(max(0, seams - case.crashes[0].at) for case, seams in lengths)
        if pairs > PAIRS_MAX:
            raise OperatingError(
                f"there are {pairs} pairs of crash points, more than {PAIRS_MAX}",
                exit_code=Exit.USAGE,
                next_command="a scenario with fewer devices and acts, or --crash each",
            )
        self.total += pairs


def _pairs(lengths: list[tuple[Case, int]]) -> Iterator[Case]:
    for case, seams in lengths:
        first = case.crashes[0]
        for at in range(first.at + 1, seams + 1):
            yield replace(case, crashes=(first, Crash(at=at)))
